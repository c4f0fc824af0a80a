//! The CRDs that are shipped, as the API server sees them.

use anyhow::Result;
use serde_json::Value;
use sluice_e2e::{Cluster, Kind, Namespace, crds_file};

#[tokio::test(flavor = "multi_thread")]
async fn every_crd_is_established_without_complaint() -> Result<()> {
    let shipped: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(crds_file())?)?;
    assert!(!shipped.is_empty());
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;

    let namespace = Namespace::new("crds").await?;
    for crd in &shipped {
        let name = crd["metadata"]["name"].as_str().expect("a CRD has a name");
        let conditions = namespace.get(Kind::CRD, name).await?["status"]["conditions"].take();
        let status = |kind: &str| {
            let conditions = conditions.as_array().into_iter().flatten();
            conditions
                .filter(|condition| condition["type"] == kind)
                .map(|one| &one["status"])
                .next()
        };
        assert_eq!(status("Established"), Some(&"True".into()), "{name}: {conditions}");
        assert_eq!(status("NamesAccepted"), Some(&"True".into()), "{name}: {conditions}");
        // Present only when the schema breaks a rule, with the rule in its message.
        assert_eq!(status("NonStructuralSchema"), None, "{name}: {conditions}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_them_again_changes_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = Namespace::new("again").await?;
    let versions = async || -> Result<Vec<String>> {
        let crds = namespace.list(Kind::CRD, "").await?;
        Ok(crds.iter().map(|crd| crd["metadata"]["generation"].to_string()).collect())
    };
    let before = versions().await?;
    let file = crds_file();
    let file = file.to_str().expect("the path is UTF-8");
    cluster.kubectl(&["apply", "--server-side", "-f", file], "").await?;
    assert_eq!(versions().await?, before);
    Ok(())
}
