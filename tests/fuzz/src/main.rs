//! The fuzzer: libFuzzer around one target, named by the environment variable `FUZZ_TARGET`.
//!
//! `tests/fuzz/run` builds it with coverage on stable Rust and starts it. Built without
//! `--cfg fuzzing` it only says so.

#![cfg_attr(fuzzing, no_main)]

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("built without --cfg fuzzing: start it by tests/fuzz/run");
    std::process::exit(2);
}

#[cfg(fuzzing)]
mod target {
    use std::sync::LazyLock;

    use capture::fuzzing;

    type Play = fn(&[u8]);

    static PLAY: LazyLock<Play> = LazyLock::new(|| match std::env::var("FUZZ_TARGET").as_deref() {
        Ok("link") => fuzzing::link,
        Ok("reassembly") => fuzzing::reassembly,
        Ok("http1") => fuzzing::http1,
        Ok("http2") => fuzzing::http2,
        Ok("hpack") => fuzzing::hpack,
        Ok("tls") => fuzzing::tls,
        Ok("pipeline") => fuzz::pipeline,
        Ok("answers") => fuzz::answers,
        other => panic!("FUZZ_TARGET names no target: {other:?}"),
    });

    libfuzzer_sys::fuzz_target!(|data: &[u8]| PLAY(data));
}
