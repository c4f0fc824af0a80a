//! From Rust types to structural schemas, which are all that the API server takes.
//!
//! A structural schema has no references, one type per value, and no union with null.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The structural schema of `T` as it is written by users.
pub(crate) fn structural<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    schema
}

fn simplify(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    unwrap_option(fields);
    fields.remove("title");
    // An absent field needs no default to be absent.
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if let Some(Value::String(description)) = fields.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(inner) {
            simplify(inner);
        }
    }
}

/// `Option<T>` becomes `T`: the field is not required, and null means that it is absent.
fn unwrap_option(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = fields.remove("anyOf") else { return };
    for choice in choices {
        let Value::Object(choice) = choice else { continue };
        if choice.get("type").is_some_and(|name| name == "null") {
            continue;
        }
        // What the field says of itself is more precise than what its type says.
        for (key, value) in choice {
            fields.entry(key).or_insert(value);
        }
    }
    unwrap_option(fields);
}
