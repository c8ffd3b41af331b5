//! HTTP/2 connections that say nothing but header blocks: all of an input goes to the decoder.

use super::Input;
use super::dialogue::{Place, Script};
use crate::flow::Direction;
use crate::http2;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

const TO_CLIENT: u8 = 1;
/// The block goes on in a CONTINUATION frame.
const SPLIT: u8 = 2;
const WITH_PADDING: u8 = 4;
const WITH_PRIORITY: u8 = 8;
/// Header fields on the stream of the last ones: trailers.
const SAME_STREAM: u8 = 16;
const STREAM_GOES_ON: u8 = 32;

/// `config u8` as for a dialogue, then header blocks: `flags u8, len u8, bytes`.
pub fn hpack(data: &[u8]) {
    let mut input = Input(data);
    let config = input.byte();
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut preface, SETTINGS, 0, 0, &[]);
    let mut greeting = Vec::new();
    frame(&mut greeting, SETTINGS, 0, 0, &[]);
    let mut said = vec![(Direction::ToServer, preface), (Direction::ToClient, greeting)];
    let (mut asked, mut answered) = (1, 1);
    while !input.is_empty() {
        let flags = input.byte();
        let len = usize::from(input.byte());
        let block = input.bytes(len);
        let mut bytes = Vec::new();
        if flags & TO_CLIENT == 0 {
            headers(&mut bytes, flags, asked, block);
            asked += if flags & SAME_STREAM == 0 { 2 } else { 0 };
            said.push((Direction::ToServer, bytes));
        } else {
            headers(&mut bytes, flags, answered, block);
            answered += if flags & SAME_STREAM == 0 { 2 } else { 0 };
            said.push((Direction::ToClient, bytes));
        }
    }
    let script = Script::of_bytes(config, &said);
    script.play_both(http2::Connection::new, &[], Place::Kept);
}

fn headers(out: &mut Vec<u8>, flags: u8, stream: u32, block: &[u8]) {
    let split = if flags & SPLIT == 0 { block.len() } else { block.len() / 2 };
    let (first, rest) = block.split_at(split);
    let mut frame_flags = if flags & STREAM_GOES_ON == 0 { END_STREAM } else { 0 };
    let mut payload = Vec::new();
    if flags & WITH_PADDING != 0 {
        frame_flags |= PADDED;
        payload.push(3);
    }
    if flags & WITH_PRIORITY != 0 {
        frame_flags |= PRIORITY;
        payload.extend([0, 0, 0, 0, 16]);
    }
    payload.extend(first);
    if flags & WITH_PADDING != 0 {
        payload.extend([0; 3]);
    }
    if flags & SPLIT == 0 {
        return frame(out, HEADERS, frame_flags | END_HEADERS, stream, &payload);
    }
    frame(out, HEADERS, frame_flags, stream, &payload);
    frame(out, CONTINUATION, END_HEADERS, stream, rest);
}

/// RFC 9113 §4.1: length (24 bits), type, flags, stream identifier.
fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    out.extend(length);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}
