//! What the steps of a canary ask for that cannot be, or was surely not meant.

use crate::field::Field;
use crate::lint::Page;

/// What the steps say about the canary's size, as far as it is known.
struct Scale<'v> {
    step: usize,
    field: Field<'v>,
}

/// Look at weights that wait for pods which the steps themselves keep away, and at steps of which
/// a part is never waited for.
pub(super) fn steps(page: &mut Page<'_>, canary: &Field<'_>) {
    let fleet = page.root().at("spec.replicas");
    let fleet = if fleet.is_set() { fleet.u32() } else { Some(1) };
    let whole = canary.at("trafficRouting.maxTrafficWeight").u32().unwrap_or(100);
    let mut scale: Option<Scale<'_>> = None;
    for (index, step) in canary.get("steps").items().iter().enumerate() {
        let said = step.get("setCanaryScale");
        if said.is_set() {
            let follows = said.get("matchTrafficWeight").bool()
                || !(said.get("replicas").is_set() || said.get("weight").is_set());
            scale = (!follows).then_some(Scale { step: index, field: said.clone() });
        }
        if let (Some(scale), Some(weight)) = (&scale, step.get("setWeight").u32()) {
            too_small(page, scale, &step.get("setWeight"), weight, whole, fleet);
        }
        if said.is_set() && step.get("analysis").is_set() {
            let problem = "is not waited for: the step is complete with its setCanaryScale";
            let fix = "make them two steps, one after the other";
            page.warning(step.get("analysis").path(), problem, Some(fix));
        }
    }
}

fn too_small(
    page: &mut Page<'_>,
    scale: &Scale<'_>,
    at: &Field<'_>,
    weight: u32,
    whole: u32,
    fleet: Option<u32>,
) {
    let pods = |parts: u32| {
        let exact = u64::from(parts) * u64::from(fleet?);
        Some(exact.div_ceil(u64::from(whole.max(1))))
    };
    let (given, what) = match scale.field.get("replicas").u32() {
        Some(replicas) => (Some(u64::from(replicas)), format!("{replicas} pods")),
        None => {
            let Some(parts) = scale.field.get("weight").u32() else { return };
            (pods(parts), format!("the pods of weight {parts}"))
        }
    };
    if let (Some(given), Some(needs)) = (given, pods(weight))
        && given < needs
    {
        let problem = format!(
            "never gets there: steps[{}].setCanaryScale gives {what}, and weight {weight} needs {needs}",
            scale.step
        );
        let fix = "add setCanaryScale with matchTrafficWeight: true to this step";
        page.warning(at.path(), problem, Some(fix));
    }
}
