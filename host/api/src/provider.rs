//! Who measures: the providers of a metric, and what each is told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::quantity::{DurationString, ExtraMetadata, IntOrString, anything};
use crate::template::job_spec;

/// Who measures: exactly one member.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricProvider {
    /// A query to Prometheus.
    pub prometheus: Option<PrometheusMetric>,
    /// A judgement of Kayenta.
    pub kayenta: Option<KayentaMetric>,
    /// A request to any HTTP server.
    pub web: Option<WebMetric>,
    /// A query to Datadog.
    pub datadog: Option<DatadogMetric>,
    /// A query to Wavefront.
    pub wavefront: Option<WavefrontMetric>,
    /// A query to New Relic.
    pub new_relic: Option<NewRelicMetric>,
    /// A Job that succeeds or fails.
    pub job: Option<JobMetric>,
    /// A query to Amazon CloudWatch.
    pub cloud_watch: Option<CloudWatchMetric>,
    /// A query to Graphite.
    pub graphite: Option<GraphiteMetric>,
    /// A query to InfluxDB.
    pub influxdb: Option<InfluxdbMetric>,
    /// A query to Apache SkyWalking.
    pub skywalking: Option<SkyWalkingMetric>,
    /// One plugin by name, with what it is told.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub plugin: Option<BTreeMap<String, Value>>,
}

/// A query to Prometheus.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusMetric {
    /// The server, such as `http://prometheus.monitoring:9090`. Default: as the controller is told.
    pub address: Option<String>,
    /// The query, in PromQL.
    pub query: Option<String>,
    /// How to sign in.
    pub authentication: Option<Authentication>,
    /// How many seconds to wait for the answer. Default: 30.
    pub timeout: Option<i64>,
    /// Whether the server's certificate is not checked. Default: false.
    pub insecure: Option<bool>,
    /// Headers to send.
    pub headers: Option<Vec<HttpHeader>>,
    /// Asks for a range instead of one instant.
    pub range_query: Option<PrometheusRangeQuery>,
}

/// A range of time.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusRangeQuery {
    /// An expression for its start, such as now() - duration("5m").
    pub start: Option<String>,
    /// An expression for its end, such as now().
    pub end: Option<String>,
    /// How long from one value to the next.
    pub step: Option<DurationString>,
}

/// A header of a request.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// How to sign in.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// With a signature for AWS.
    pub sigv4: Option<Sigv4>,
    /// With a token from an OAuth 2.0 server.
    pub oauth2: Option<OAuth2>,
    /// With a name and a password.
    pub basic_auth: Option<BasicAuth>,
}

/// A signature for AWS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sigv4 {
    /// The region.
    pub region: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// The role to assume.
    pub role_arn: Option<String>,
}

/// A token from an OAuth 2.0 server, for client credentials.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// Where the token is asked for.
    pub token_url: Option<String>,
    /// The client.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<String>,
    /// What the token should allow.
    pub scopes: Option<Vec<String>>,
}

/// A name and a password.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// A judgement of Kayenta.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaMetric {
    /// The server.
    pub address: String,
    /// The application.
    pub application: String,
    /// The canary configuration.
    pub canary_config_name: String,
    /// The account for metrics.
    pub metrics_account_name: String,
    /// The account for configurations.
    pub configuration_account_name: String,
    /// The account for storage.
    pub storage_account_name: String,
    /// Which scores are good.
    pub threshold: KayentaThreshold,
    /// What is compared.
    pub scopes: Vec<KayentaScope>,
    /// Whether the comparison begins with the run instead of the last interval. Default: false.
    pub lookback: Option<bool>,
}

/// Which scores are good.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaThreshold {
    /// From here on successful.
    pub pass: i64,
    /// From here on undecided; failed below.
    pub marginal: i64,
}

/// What is compared.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaScope {
    /// Its name.
    pub name: String,
    /// The stable version.
    pub control_scope: KayentaScopeDetail,
    /// The new version.
    pub experiment_scope: KayentaScopeDetail,
}

/// One side of a comparison.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaScopeDetail {
    /// The scope.
    pub scope: String,
    /// The region.
    pub region: String,
    /// How many seconds from one value to the next.
    pub step: i64,
    /// Its start. Both sides have start and end, or neither.
    pub start: Option<String>,
    /// Its end.
    pub end: Option<String>,
}

/// A request to any HTTP server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebMetric {
    /// GET, POST or PUT. Default: GET.
    pub method: Option<String>,
    /// The URL.
    pub url: String,
    /// Headers to send.
    pub headers: Option<Vec<HttpHeader>>,
    /// The body of a POST or PUT, instead of jsonBody.
    pub body: Option<String>,
    /// How many seconds to wait for the answer. Default: 10.
    pub timeout_seconds: Option<i64>,
    /// Which value of the answer counts, as a JSONPath. Default: {$}, all of it.
    pub json_path: Option<String>,
    /// Whether the server's certificate is not checked. Default: false.
    pub insecure: Option<bool>,
    /// The body of a POST or PUT, as JSON, instead of body.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub json_body: Option<Value>,
    /// How to sign in.
    pub authentication: Option<Authentication>,
}

/// A query to Datadog: one of query and queries.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogMetric {
    /// How far back to look. Default: 5m.
    #[schemars(extend("default" = "5m"))]
    pub interval: Option<DurationString>,
    /// The query.
    pub query: Option<String>,
    /// Several queries, by name. Only with apiVersion v2.
    pub queries: Option<BTreeMap<String, String>>,
    /// How several queries make one value.
    pub formula: Option<String>,
    /// v1 or v2. Default: v1.
    #[schemars(extend("default" = "v1", "enum" = ["v1", "v2"]))]
    pub api_version: Option<String>,
    /// How the values of the interval make one. Only with apiVersion v2. Default: last.
    #[schemars(extend("enum" =
        ["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"]))]
    pub aggregator: Option<String>,
    /// Where the keys are. Default: the Secret datadog beside the controller.
    pub secret_ref: Option<DatadogSecretRef>,
    /// How long to wait for the answer. Default: 10s.
    #[schemars(extend("default" = "10s"))]
    pub request_timeout: Option<DurationString>,
}

/// Where the keys for Datadog are.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogSecretRef {
    /// The Secret.
    pub name: Option<String>,
    /// Whether it is beside the analysis run instead of the controller. Default: false.
    pub namespaced: Option<bool>,
}

/// A query to Wavefront.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WavefrontMetric {
    /// The server.
    pub address: Option<String>,
    /// The query.
    pub query: Option<String>,
}

/// A query to New Relic.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewRelicMetric {
    /// The Secret with the keys. Default: newrelic.
    pub profile: Option<String>,
    /// The query, in NRQL.
    pub query: String,
    /// How many seconds to wait for the answer. Default: 5.
    pub timeout: Option<i64>,
}

/// A Job that succeeds or fails.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobMetric {
    /// Added to the Job.
    pub metadata: Option<ExtraMetadata>,
    /// The Job.
    #[schemars(schema_with = "job_spec")]
    pub spec: Value,
}

/// A query to Amazon CloudWatch.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetric {
    /// How far back to look. Default: 5m.
    pub interval: Option<DurationString>,
    /// The queries.
    pub metric_data_queries: Vec<CloudWatchQuery>,
}

/// A metric, or an expression over others.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchQuery {
    /// Its name in expressions.
    pub id: Option<String>,
    /// An expression over others.
    pub expression: Option<String>,
    /// Its name for people.
    pub label: Option<String>,
    /// A metric.
    pub metric_stat: Option<CloudWatchStat>,
    /// How many seconds make one value.
    pub period: Option<IntOrString>,
    /// Whether it is part of the result. Default: true.
    pub return_data: Option<bool>,
}

/// A metric and how its values are put together.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchStat {
    /// The metric.
    pub metric: Option<CloudWatchMetricName>,
    /// How many seconds make one value.
    pub period: Option<IntOrString>,
    /// How they make one value, such as Sum.
    pub stat: Option<String>,
    /// The unit.
    pub unit: Option<String>,
}

/// A metric.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetricName {
    /// Which of its series.
    pub dimensions: Option<Vec<CloudWatchDimension>>,
    /// Its name.
    pub metric_name: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
}

/// Which series of a metric.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchDimension {
    /// The name of a dimension.
    pub name: Option<String>,
    /// Its value.
    pub value: Option<String>,
}

/// A query to Graphite.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphiteMetric {
    /// The server.
    pub address: Option<String>,
    /// The query.
    pub query: Option<String>,
}

/// A query to InfluxDB.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfluxdbMetric {
    /// The Secret with the keys. Default: influxdb.
    pub profile: Option<String>,
    /// The query, in Flux.
    pub query: Option<String>,
}

/// A query to Apache SkyWalking.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkyWalkingMetric {
    /// The server.
    pub address: Option<String>,
    /// The query, in GraphQL.
    pub query: Option<String>,
    /// How far back to look. Default: 5m.
    #[schemars(extend("default" = "5m"))]
    pub interval: Option<DurationString>,
}
