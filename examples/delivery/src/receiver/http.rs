//! As much of HTTP/1.1 as one request and one answer need.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Headers};

/// The most bytes of a request's head, and the most headers.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// The most bytes of a body.
const MAX_BODY: usize = 8 * 1024 * 1024;

pub(super) struct Request {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

/// Reads one request, or the status that refuses it.
pub(super) fn read(connection: &mut TcpStream) -> io::Result<Result<Request, u16>> {
    let mut bytes = Vec::new();
    let (head, length, headers) = loop {
        match head(&bytes) {
            Some(Ok(head)) => break head,
            Some(Err(status)) => return Ok(Err(status)),
            None if bytes.len() > MAX_HEAD => return Ok(Err(431)),
            None => more(connection, &mut bytes)?,
        }
    };
    if length > MAX_BODY {
        return Ok(Err(413));
    }
    while bytes.len() < head + length {
        more(connection, &mut bytes)?;
    }
    let body = bytes[head..head + length].to_vec();
    Ok(Ok(Request { headers, body }))
}

/// The length of the head, the length of the body, and the headers of the signature; none while the
/// head is not complete.
fn head(bytes: &[u8]) -> Option<Result<(usize, usize, Headers), u16>> {
    let mut found = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut found);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return None,
        Err(_) => return Some(Err(400)),
    };
    if request.method != Some("POST") {
        return Some(Err(405));
    }
    let text = |name: &str| {
        let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default().to_owned()
    };
    let Ok(length) = text("content-length").parse() else { return Some(Err(411)) };
    let headers =
        Headers { id: text(HEADER_ID), timestamp: text(HEADER_TIMESTAMP), signature: text(HEADER_SIGNATURE) };
    Some(Ok((head, length, headers)))
}

fn more(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 8 * 1024];
    match connection.read(&mut part)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        n => {
            bytes.extend_from_slice(&part[..n]);
            Ok(())
        }
    }
}

/// Answers, and ends the connection.
pub(super) fn answer(
    connection: &mut TcpStream,
    status: u16,
    header: Option<(&str, &str)>,
) -> io::Result<()> {
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    write!(connection, "HTTP/1.1 {status} .\r\n{header}content-length: 0\r\nconnection: close\r\n\r\n")
}
