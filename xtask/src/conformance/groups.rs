//! The suite's config groups: the settings that a server needs for each, as the environment of Mainstay.

use crate::json::Json;
use crate::{Context, Error, Result};
use std::path::Path;

/// Groups that need what neither engine has to have, and what that is.
pub const LEFT_OUT: [(&str, &str); 2] = [
    ("db-extra-search-path=public,extensions", "PostGIS"),
    ("db-pre-request=test.load_safeupdate", "the extension `safeupdate`"),
];

/// These end in commits, so they go last.
const LAST: &str = "db-tx-end=commit";

/// One config group.
#[derive(Debug)]
pub struct Group {
    pub name: String,
    /// Environment variables; `None`: not set at all.
    pub settings: Vec<(String, Option<String>)>,
}

/// Every group that cases belong to, with its settings over the base's.
pub fn read(suite: &Path) -> Result<Vec<Group>> {
    let path = suite.join("configs.json");
    let json = Json::parse(&std::fs::read_to_string(&path).context(path.display())?).context(path.display())?;
    let mut groups = Vec::new();
    for (name, config) in json.get("configs").members() {
        if LEFT_OUT.iter().any(|(left_out, _)| left_out == name) {
            continue;
        }
        let mut settings = Vec::new();
        for (setting, value) in config.get("overrides").members() {
            let variable = format!("PGRST_{}", setting.replace('-', "_").to_uppercase());
            settings.push((variable, text(setting, value)?));
        }
        groups.push(Group {
            name: name.clone(),
            settings,
        });
    }
    groups.sort_by_key(|group| (group.name == LAST, group.name != "base", group.name.clone()));
    Ok(groups)
}

fn text(setting: &str, value: &Json) -> Result<Option<String>> {
    Ok(Some(match value {
        Json::Null if setting == "jwt-secret" => return Ok(None),
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::Array(parts) => parts.iter().filter_map(Json::str).collect::<Vec<_>>().join(","),
        Json::Object(_) => return Err(Error::new(format!("configs.json: `{setting}` is an object"))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_spelled_for_the_environment() {
        let list = Json::parse(r#"["v1", "SPECIAL \"@"]"#).unwrap();
        assert_eq!(text("db-schemas", &list).unwrap().unwrap(), "v1,SPECIAL \"@");
        assert_eq!(text("jwt-secret", &Json::Null).unwrap(), None);
        assert_eq!(text("db-max-rows", &Json::Number(2.0)).unwrap().unwrap(), "2");
        assert_eq!(text("db-anon-role", &Json::Null).unwrap().unwrap(), "");
    }
}
