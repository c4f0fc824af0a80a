//! The objects that most tests release: a Rollout `web`, its Services and its Ingress.

/// The Rollout `web` with `replicas` pods of the image `example:1`.
///
/// `canary` is what its canary strategy holds, and `annotations` what its pods are annotated with:
/// both in YAML's flow style without the outer braces.
pub fn rollout(replicas: u32, canary: &str, annotations: &str) -> String {
    format!(
        r#"
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  strategy: {{canary: {{{canary}}}}}
  template:
    metadata:
      labels: {{app: web}}
      annotations: {{{annotations}}}
    spec: {{containers: [{{name: main, image: "example:1"}}]}}
"#
    )
}

/// The Rollout `web` with `replicas` pods, whose users get what the Service `web-active` selects.
///
/// `more` is what else its blue-green strategy holds, in YAML's flow style without the outer braces.
pub fn blue_green(replicas: u32, more: &str) -> String {
    let strategy = format!("{{blueGreen: {{activeService: web-active, {more}}}}}");
    rollout(replicas, "", "").replace("{canary: {}}", &strategy)
}

/// The Rollout `rollout` with further fields of its specification, in YAML's block style.
pub fn with_spec(rollout: &str, fields: &str) -> String {
    rollout.replacen("spec:\n", &format!("spec:\n  {fields}\n"), 1)
}

/// What a canary strategy needs for the router nginx, and no more.
pub const NGINX_ROUTER: &str = "stableService: web-stable, canaryService: web-canary, \
     trafficRouting: {nginx: {stableIngress: web}}";

/// What a canary strategy needs for the router nginx. Replaced pods go as soon as no traffic can
/// reach them any more.
pub const NGINX: &str = "stableService: web-stable, canaryService: web-canary, \
     trafficRouting: {nginx: {stableIngress: web}}, \
     scaleDownDelaySeconds: 1, abortScaleDownDelaySeconds: 1";

/// A Service that selects the rollout's pods.
pub fn service(name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"#
    )
}

/// The Services `web-stable` and `web-canary`.
pub fn services() -> String {
    [service("web-stable"), service("web-canary")].join("---")
}

/// The Ingress `web`, which leads to the Service `web-stable`.
pub const INGRESS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  rules:
  - host: web.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: web-stable, port: {name: http}}}
"#;

/// The AnalysisTemplate `judge` with one metric, `error-rate`, that asks the Prometheus at
/// `address`. `condition` is its success condition, and `more` is what else it holds, in YAML's
/// flow style and without the outer braces.
pub fn judge(address: &str, query: &str, condition: &str, more: &str) -> String {
    format!(
        r#"
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{name: judge}}
spec:
  metrics:
  - name: error-rate
    successCondition: "{condition}"
    provider: {{prometheus: {{address: "{address}", query: '{query}'}}}}
    {more}
"#
    )
}
