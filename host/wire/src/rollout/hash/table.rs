//! Tables of Go types: which fields an object has, in which order, and what is left out.
//!
//! A table is text, so that it can be read, compared with the Go source, and written anew by a
//! program that knows the types themselves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The types below a pod template.
pub(super) static TEMPLATE: LazyLock<Table> =
    LazyLock::new(|| Table::read(include_str!("template.txt")));
/// The types below a step of a canary.
pub(super) static STEPS: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("steps.txt")));

/// Every type of a table by its name.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<&'static str, Vec<Field>>);

/// One field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    /// Whether it is left out when it is empty.
    pub optional: bool,
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Truth,
    Quantity,
    IntOrString,
    Time,
    /// JSON that Go passes on as it is.
    Raw,
    /// A type of the table.
    Object(&'static str),
    Pointer(Box<Self>),
    List(Box<Self>),
    Map(Box<Self>),
}

impl Table {
    fn read(text: &'static str) -> Self {
        let mut types: BTreeMap<_, Vec<Field>> = BTreeMap::new();
        let mut object = "";
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.trim_start().split_once(' ') {
                Some((name, kind)) => {
                    let optional = name.ends_with('?');
                    let name = name.trim_end_matches('?');
                    let field = Field { name, optional, kind: Kind::read(kind) };
                    types.entry(object).or_default().push(field);
                }
                None => object = line,
            }
        }
        Self(types)
    }

    /// The fields of a type, in the order in which they are written.
    pub fn fields(&self, object: &str) -> &[Field] {
        self.0.get(object).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Kind {
    fn read(text: &'static str) -> Self {
        let inner = |rest| Box::new(Self::read(rest));
        if let Some(rest) = text.strip_prefix('*') {
            return Self::Pointer(inner(rest));
        }
        if let Some(rest) = text.strip_prefix("[]") {
            return Self::List(inner(rest));
        }
        if let Some(rest) = text.strip_prefix("{}") {
            return Self::Map(inner(rest));
        }
        match text {
            "string" => Self::Text,
            "int" => Self::Whole,
            "bool" => Self::Truth,
            "quantity" => Self::Quantity,
            "intOrString" => Self::IntOrString,
            "time" => Self::Time,
            "raw" => Self::Raw,
            object => Self::Object(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: &Kind) -> Option<&'static str> {
        match kind {
            Kind::Object(name) => Some(name),
            Kind::Pointer(inner) | Kind::List(inner) | Kind::Map(inner) => named(inner),
            Kind::Text
            | Kind::Whole
            | Kind::Truth
            | Kind::Quantity
            | Kind::IntOrString
            | Kind::Time
            | Kind::Raw => None,
        }
    }

    #[test]
    fn every_type_that_a_table_names_is_in_it() {
        for (table, least) in [(&TEMPLATE, 100), (&STEPS, 15)] {
            assert!(table.0.len() > least, "{}", table.0.len());
            for name in table.0.values().flatten().filter_map(|field| named(&field.kind)) {
                assert!(table.0.contains_key(name), "{name} is named and not in the table");
            }
        }
    }
}
