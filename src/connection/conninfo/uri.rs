//! The form `postgresql://user:password@host:port,host:port/dbname?keyword=value` (libpq, "Connection URIs").

use super::error::{ConninfoError, Name};
use super::keywords;
use super::parameters::Parameters;

const PREFIXES: [&str; 2] = ["postgresql://", "postgres://"];

/// Whether a string is a URI for libpq.
pub(super) fn is_uri(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Reads a URI.
pub(super) fn parse(uri: &str) -> Result<Parameters, ConninfoError> {
    let mut parameters = Parameters::default();
    let start = PREFIXES.iter().find(|prefix| uri.starts_with(**prefix)).map_or(0, |prefix| prefix.len());
    let mut rest = &uri[start..];

    // An at sign before the first slash ends the credentials; so says libpq, whatever RFC 3986 would say.
    if let Some(end) = rest.find(['@', '/']).filter(|&end| rest.as_bytes()[end] == b'@') {
        let credentials = &rest[..end];
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        store(&mut parameters, "user", user)?;
        store(&mut parameters, "password", password)?;
        rest = &rest[end + 1..];
    }

    rest = parse_hosts(&mut parameters, uri, rest)?;

    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    if let Some(dbname) = path.strip_prefix('/') {
        store(&mut parameters, "dbname", dbname)?;
    }
    if let Some(query) = query {
        parse_query(&mut parameters, query, uri)?;
    }
    Ok(parameters)
}

/// Reads `host:port,[host]:port,…` and gives back what follows: nothing, or from `/` or `?` on.
fn parse_hosts<'a>(parameters: &mut Parameters, uri: &str, mut rest: &'a str) -> Result<&'a str, ConninfoError> {
    let (mut hosts, mut ports) = (String::new(), String::new());
    loop {
        if let Some(bracketed) = rest.strip_prefix('[') {
            let end = bracketed.find(']').ok_or(ConninfoError::UnclosedBracket)?;
            if end == 0 {
                return Err(ConninfoError::EmptyBrackets);
            }
            hosts.push_str(&bracketed[..end]);
            rest = &bracketed[end + 1..];
            if let Some(character) = rest.chars().next().filter(|c| !matches!(c, ':' | '/' | '?' | ',')) {
                let position = position(uri, rest);
                return Err(ConninfoError::UnexpectedCharacter { character, position });
            }
        } else {
            let end = rest.find([':', '/', '?', ',']).unwrap_or(rest.len());
            hosts.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        if let Some(port) = rest.strip_prefix(':') {
            let end = port.find(['/', '?', ',']).unwrap_or(port.len());
            ports.push_str(&port[..end]);
            rest = &port[end..];
        }
        let Some(next) = rest.strip_prefix(',') else {
            break;
        };
        hosts.push(',');
        ports.push(',');
        rest = next;
    }
    store(parameters, "host", &hosts)?;
    store(parameters, "port", &ports)?;
    Ok(rest)
}

fn parse_query(parameters: &mut Parameters, query: &str, uri: &str) -> Result<(), ConninfoError> {
    let mut rest = query;
    // The text may be the end of a password: of one with a bare "?" before the host, or a bare "&" in the query.
    let mut after_secret = query.contains('@');
    while !rest.is_empty() {
        let (parameter, following) = rest.split_once('&').unwrap_or((rest, ""));
        let position = position(uri, rest);
        rest = following;
        let named = |name: &str| Name::new(name, position, after_secret);
        let Some((keyword, value)) = parameter.split_once('=') else {
            return Err(ConninfoError::MissingSeparator { name: named(parameter) });
        };
        if value.contains('=') {
            return Err(ConninfoError::ExtraSeparator { name: named(keyword) });
        }
        let keyword = decode(keyword, "query")?;
        let value = decode(value, "query")?;
        // JDBC's way to ask for TLS, which libpq takes too.
        let (keyword, value) = match (keyword.as_str(), value.as_str()) {
            ("ssl", "true") => ("sslmode", "require"),
            other => other,
        };
        if !parameters.give(keyword, value) {
            return Err(ConninfoError::UnknownQueryParameter { name: named(keyword) });
        }
        after_secret |= keywords::find(keyword).is_some_and(|keyword| keyword.secret);
    }
    Ok(())
}

/// The position of `rest`, the end of `uri`, in characters from 1.
fn position(uri: &str, rest: &str) -> usize {
    uri[..uri.len() - rest.len()].chars().count() + 1
}

/// Stores a part of the URI; an empty part leaves the keyword to the environment and the defaults.
fn store(parameters: &mut Parameters, keyword: &'static str, encoded: &str) -> Result<(), ConninfoError> {
    if !encoded.is_empty() {
        parameters.give(keyword, &decode(encoded, keyword)?);
    }
    Ok(())
}

/// Undoes percent-encoding. Spaces around the text are dropped, spaces inside are an error.
fn decode(encoded: &str, part: &'static str) -> Result<String, ConninfoError> {
    let text = encoded.trim_start_matches(' ');
    let end = text.find(' ').unwrap_or(text.len());
    let mut decoded = Vec::with_capacity(end);
    let mut bytes = text[..end].bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ConninfoError::PercentEncoding { part });
        };
        match u8::try_from(high * 16 + low) {
            Ok(0) | Err(_) => return Err(ConninfoError::ForbiddenNul { part }),
            Ok(byte) => decoded.push(byte),
        }
    }
    if !text[end..].trim_start_matches(' ').is_empty() {
        return Err(ConninfoError::UnencodedSpace { part });
    }
    String::from_utf8(decoded).map_err(|_| ConninfoError::NotUtf8 { part })
}
