//! The files of the SDKs, the templates and the interfaces, which travel in the binary.

/// Every file by its place in the repository, sorted.
const CARRIED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// The files below a folder, by their place in it.
pub(crate) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    CARRIED.iter().filter_map(move |(path, bytes)| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        Some((rest, *bytes))
    })
}

/// One file.
#[cfg(test)]
pub(crate) fn text(path: &str) -> &'static str {
    let found = CARRIED.iter().find(|(carried, _)| *carried == path);
    let (_, bytes) = found.unwrap_or_else(|| panic!("{path} is not carried"));
    std::str::from_utf8(bytes).unwrap_or_else(|_| panic!("{path} is no text"))
}
