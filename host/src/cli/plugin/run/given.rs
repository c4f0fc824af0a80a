//! What the person at the command line gives a component: secrets and credentials, which are shown
//! and recorded nowhere.

use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use sluice_author::hidden::Hidden;
use sluice_wasm::{Credential as Signed, Private, Server};

use super::{Args, Subject};

/// `NAME=VALUE`.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    pub value: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("{text:?} is not of the form NAME=VALUE")),
        }
    }
}

/// `SERVER HEADER=SOURCE`.
#[derive(Clone, Debug)]
pub struct Credential {
    server: Server,
    header: Named,
}

impl FromStr for Credential {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "write the server and the header, such as \
                     'https://api.example.com Authorization=env:TOKEN'";
        let (server, header) = text.trim().split_once(' ').ok_or(wrong)?;
        let server = Server::try_from(server.to_owned()).map_err(|error| error.to_string())?;
        if server == Server::Any {
            return Err("a credential is for one server, and not for any".to_owned());
        }
        Ok(Self { server, header: header.parse()? })
    }
}

/// Values of secrets, and what hides them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// For the component.
    pub private: Private,
    /// For everything that is shown or written.
    pub hidden: Hidden,
}

impl Given {
    /// Reads them.
    ///
    /// # Errors
    /// A value is not there, or nobody could use it.
    pub fn read(args: &Args, subject: &Subject) -> anyhow::Result<Self> {
        let mut given = Self::default();
        for secret in &args.secrets {
            let value =
                value(&secret.value).with_context(|| format!("--secret {}", secret.name))?;
            given.hidden.hide(&secret.name, &value);
            given.private.secrets.insert(secret.name.clone(), value.into_bytes());
        }
        for Credential { server, header } in &args.credentials {
            let flag = || format!("--credential {}", header.name);
            let value = value(&header.value).with_context(flag)?.trim_end_matches('\n').to_owned();
            let valid = http::HeaderName::from_str(&header.name).is_ok()
                && http::HeaderValue::from_str(&value).is_ok();
            ensure!(valid, "{}: it cannot be a header", flag());
            given.hidden.hide_header(&header.name.to_ascii_lowercase(), &value);
            let (server, header) = (server.clone(), header.name.clone());
            given.private.credentials.push(Signed { server, header, value });
        }
        // Those of the environment, which components with some names see.
        for (name, value) in crate::components::variables().into_values().flatten() {
            if name.starts_with("AWS_") && name != "AWS_REGION" {
                given.hidden.hide(&name.to_ascii_lowercase().replace('_', "-"), &value);
            }
        }
        let missing = subject.grants.secrets.iter();
        for alias in missing.filter(|alias| !given.private.secrets.contains_key(*alias)) {
            super::say(&format!(
                "the secret {alias:?} is granted and stands for nothing: give it by --secret \
                 {alias}=env:VAR"
            ));
        }
        Ok(given)
    }
}

/// A value that is named on the command line and not written there, where others would see it.
fn value(source: &str) -> anyhow::Result<String> {
    match source.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).with_context(|| format!("the variable {name} cannot be read"))
        }
        Some(("file", path)) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
        }
        _ => bail!("name where the value is, as env:VAR or file:PATH"),
    }
}
