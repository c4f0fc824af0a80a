//! Plugin objects, and what components say of themselves.

use serde_json::Value;
use sluice_api::Plugin;
use sluice_plugins::asked::Asked;
use sluice_plugins::wish::{Permissions, Server, Source, Wish, is_digest};
use url::Url;

use crate::Verdict;
use crate::hold;

/// A wish is understood with every server in one form, or refused by the name of a field.
pub(super) fn wish(object: &Value) -> Verdict {
    let Ok(plugin) = serde_json::from_value::<Plugin>(object.clone()) else { return Ok(()) };
    let wish = match Wish::read(&plugin) {
        Ok(wish) => wish,
        Err(wrong) => {
            let named = wrong.field.starts_with("spec") && !wrong.why.is_empty();
            return hold(named, || format!("no field is named: {wrong}"));
        }
    };
    let fixed = wish.digest.as_ref().is_some_and(|digest| is_digest(digest));
    let bundled = matches!(wish.source, Source::Bundled(_));
    hold(fixed || bundled, || "bytes that nobody fixed by a digest".to_owned())?;
    let given = wish.permissions.clone().unwrap_or_default();
    for http in &given.http {
        let alone = http.auth.is_none() || http.server != Server::Any;
        hold(alone, || "a credential for any server".to_owned())?;
        one_form(&http.server)?;
    }
    let secrets = wish.secrets();
    hold(secrets.windows(2).all(|two| two[0] < two[1]), || format!("{secrets:?}"))
}

fn one_form(server: &Server) -> Verdict {
    let Server::At(text) = server else { return Ok(()) };
    let again = Server::read(text);
    hold(again.as_ref() == Some(server), || format!("{text} is then read as {again:?}"))
}

/// A server that is granted is one server, and all of the text that names it.
pub(super) fn server(text: &str) -> Verdict {
    let Some(server) = Server::read(text) else { return Ok(()) };
    one_form(&server)?;
    if server == Server::Any {
        return hold(text == "*", || format!("{text:?} is any server"));
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let bare = url.username().is_empty() && url.password().is_none();
    hold(bare, || format!("the user or password in {text:?} is dropped in silence"))?;
    let shown = url.origin().ascii_serialization();
    let same = Url::parse(server.text()).is_ok_and(|read| read.origin() == url.origin());
    hold(same, || format!("{text:?} leads to {shown}, and {} is granted", server.text()))
}

/// What a component says of itself is shown without lines of its own.
pub(super) fn asked(manifest: &str) -> Verdict {
    let imports = ["sluice:host/http@0.1.0".to_owned(), "wasi:io/poll@0.2.0".to_owned()];
    let asked = Asked::read(&imports, Some(manifest));
    let missing = asked.missing(&Permissions::default());
    let broken = asked.lines().into_iter().chain(missing).find(|line| line.contains(['\n', '\r']));
    hold(broken.is_none(), || format!("{broken:?} is more than one line"))
}
