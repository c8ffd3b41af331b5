//! What real peers say: h2's client and server talk to each other, and every byte is recorded.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// What one client asks, and what it is to be answered.
#[derive(Clone, Debug)]
struct Turn {
    method: &'static str,
    path: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    interim: bool,
    status: u16,
    answer_fields: Vec<(String, String)>,
    answer_body: Vec<u8>,
    trailers: bool,
}

/// Settings of both sides.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    client_table: u32,
    server_table: u32,
    client_frame: u32,
    server_frame: u32,
}

/// Everything that was said, in the order in which it passed.
type Recording = Vec<(Direction, Vec<u8>)>;

/// Plays the turns over one connection.
fn record(turns: &[Turn], sizes: Sizes) -> Recording {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recording = Arc::new(Mutex::new(Recording::new()));
    runtime.block_on(async {
        let (client_end, client_wire) = tokio::io::duplex(1 << 16);
        let (server_end, server_wire) = tokio::io::duplex(1 << 16);
        tokio::spawn(wire(client_wire, server_wire, Arc::clone(&recording)));
        tokio::spawn(serve(server_end, turns.to_vec(), sizes));
        ask(client_end, turns, sizes).await;
    });
    recording.lock().unwrap().clone()
}

/// Carries bytes between both ends, and notes them before it does.
async fn wire(client: DuplexStream, server: DuplexStream, recording: Arc<Mutex<Recording>>) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut up, mut down) = (vec![0; 4_096], vec![0; 4_096]);
    loop {
        let (direction, len) = tokio::select! {
            len = from_client.read(&mut up) => (ToServer, len.unwrap_or(0)),
            len = from_server.read(&mut down) => (ToClient, len.unwrap_or(0)),
        };
        if len == 0 {
            return;
        }
        let bytes = match direction {
            ToServer => up[..len].to_vec(),
            ToClient => down[..len].to_vec(),
        };
        recording.lock().unwrap().push((direction, bytes.clone()));
        let sent = match direction {
            ToServer => to_server.write_all(&bytes).await,
            ToClient => to_client.write_all(&bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn map(fields: &[(String, String)]) -> http::HeaderMap {
    let pair = |(name, value): &(String, String)| {
        (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
    };
    fields.iter().map(pair).collect()
}

async fn serve(io: DuplexStream, turns: Vec<Turn>, sizes: Sizes) {
    let mut connection = h2::server::Builder::new()
        .header_table_size(sizes.server_table)
        .max_frame_size(sizes.server_frame)
        .handshake::<_, Bytes>(io)
        .await
        .unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let number: usize = request.headers()["turn"].to_str().unwrap().parse().unwrap();
        let turn = turns[number].clone();
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(bytes)) = body.data().await {
                body.flow_control().release_capacity(bytes.len()).unwrap();
            }
            if turn.interim {
                let interim = http::Response::builder().status(103).body(()).unwrap();
                respond.send_informational(interim).unwrap();
            }
            let mut response = http::Response::new(());
            *response.status_mut() = turn.status.try_into().unwrap();
            *response.headers_mut() = map(&turn.answer_fields);
            let ends = turn.answer_body.is_empty() && !turn.trailers;
            let mut stream = respond.send_response(response, ends).unwrap();
            if !turn.answer_body.is_empty() {
                stream.send_data(turn.answer_body.into(), !turn.trailers).unwrap();
            }
            if turn.trailers {
                stream.send_trailers(map(&[("grpc-status".into(), "0".into())])).unwrap();
            }
        });
    }
}

async fn ask(io: DuplexStream, turns: &[Turn], sizes: Sizes) {
    let (mut client, connection) = h2::client::Builder::new()
        .header_table_size(sizes.client_table)
        .max_frame_size(sizes.client_frame)
        .handshake::<_, Bytes>(io)
        .await
        .unwrap();
    tokio::spawn(connection);
    for (chunk, turns) in turns.chunks(3).enumerate() {
        let mut waiting = Vec::new();
        for (at, turn) in turns.iter().enumerate() {
            client = client.ready().await.unwrap();
            let mut request = http::Request::builder()
                .method(turn.method)
                .uri(format!("http://shop.example.com{}", turn.path))
                .header("turn", chunk * 3 + at)
                .body(())
                .unwrap();
            request.headers_mut().extend(map(&turn.fields));
            let (response, mut stream) =
                client.send_request(request, turn.body.is_empty()).unwrap();
            if !turn.body.is_empty() {
                stream.send_data(turn.body.clone().into(), true).unwrap();
            }
            waiting.push(response);
        }
        for response in waiting {
            let mut body = response.await.unwrap().into_body();
            while let Some(bytes) = body.data().await {
                body.flow_control().release_capacity(bytes.unwrap().len()).unwrap();
            }
            body.trailers().await.unwrap();
        }
    }
}

fn field_list() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("x-request-id".to_owned()),
        Just("accept".to_owned()),
        Just("cookie".to_owned()),
        "x-[a-z]{1,4}",
    ];
    let value = prop_oneof!["[a-z]{0,6}", "[ -~]{1,60}", Just("v".repeat(700))];
    // Space around a value is no part of it.
    prop::collection::vec((name, value.prop_map(|value| value.trim().to_owned())), 0..6)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => Just(Vec::new()),
        2 => prop::collection::vec(any::<u8>(), 1..50),
        1 => (10_000usize..40_000).prop_map(|len| vec![b'b'; len]),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let asked =
        (prop::sample::select(vec!["GET", "POST", "PUT"]), "/[a-z]{0,8}", field_list(), body());
    let answered =
        (any::<bool>(), prop::sample::select(vec![200u16, 201, 404, 500]), field_list(), body());
    (asked, answered, any::<bool>()).prop_map(|(asked, answered, trailers)| Turn {
        method: asked.0,
        path: asked.1,
        fields: asked.2,
        body: asked.3,
        interim: answered.0,
        status: answered.1,
        answer_fields: answered.2,
        answer_body: answered.3,
        trailers,
    })
}

fn sizes() -> impl Strategy<Value = Sizes> {
    let table = || prop::sample::select(vec![0u32, 100, 300, 4_096, 16_384]);
    let frame = || prop::sample::select(vec![16_384u32, 32_768]);
    (table(), table(), frame(), frame()).prop_map(
        |(client_table, server_table, client_frame, server_frame)| Sizes {
            client_table,
            server_table,
            client_frame,
            server_frame,
        },
    )
}

/// The exchange that a turn is, but for its evidence.
fn said(exchange: &Exchange, turn: &Turn) {
    if let Some(request) = &exchange.request {
        assert_eq!(request.method(), turn.method.as_bytes());
        assert_eq!(request.target(), turn.path.as_bytes());
    }
    if let Some(response) = &exchange.response {
        assert_eq!(response.status, turn.status);
    }
    if exchange.evidence != Evidence::Complete {
        return;
    }
    let request = exchange.request.as_ref().unwrap();
    assert_eq!(request.host(), Some(&b"shop.example.com"[..]));
    assert_eq!(sorted(fields(&request.fields)), sorted(turn.fields.clone()));
    assert_eq!(request.body.kept(), turn.body);
    assert_eq!(exchange.interim, if turn.interim { vec![103] } else { Vec::new() });
    let response = response(exchange);
    assert_eq!(sorted(fields(&response.fields)), sorted(turn.answer_fields.clone()));
    assert_eq!(response.body.kept(), turn.answer_body);
    assert_eq!(response.trailers.len(), usize::from(turn.trailers));
}

/// A map of fields gives them in an order of its own.
fn sorted(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    fields.retain(|(name, _)| !matches!(name.as_str(), "turn" | "date" | "content-length"));
    fields.sort();
    fields
}

/// Which turn an exchange is: streams are opened in their order.
fn turn_of(exchange: &Exchange) -> usize {
    (exchange.stream_id.unwrap() as usize - 1) / 2
}

/// Gives a recording to a connection, cut into pieces of these lengths.
fn played(wire: &mut Wire, recording: &Recording, lens: &[usize]) {
    let mut lens = lens.iter().cycle();
    for (direction, bytes) in recording {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let len = lens.next().map_or(rest.len(), |&len| len.clamp(1, rest.len()));
            wire.say(*direction, &rest[..len]);
            rest = &rest[len..];
        }
    }
}

/// Everything of an exchange but its times.
fn written(exchange: &Exchange) -> String {
    let Exchange { timing, .. } = exchange;
    let mut exchange = exchange.clone();
    let has =
        [timing.request_head, timing.request_last, timing.response_head, timing.response_last];
    exchange.timing = crate::Timing::default();
    format!("{exchange:?} {:?}", has.map(|at| at.is_some()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Everything that real peers say is read as they said it, however it is cut into pieces.
    #[test]
    fn what_h2_s_peers_say_is_read_as_they_said_it_in_any_pieces(
        turns in prop::collection::vec(turn(), 1..10),
        sizes in sizes(),
        lens in prop::collection::vec(1usize..3_000, 1..20),
        tiny in any::<bool>(),
    ) {
        let recording = record(&turns, sizes);
        let mut whole = Wire::bare(Limits::default(), false);
        played(&mut whole, &recording, &[]);
        let counts: Vec<_> = whole.anomalies.iter().collect();
        prop_assert!(counts.is_empty(), "{:?}", counts);
        prop_assert_eq!(whole.out.len(), turns.len());
        for exchange in &whole.out {
            prop_assert_eq!(exchange.evidence, Evidence::Complete);
            said(exchange, &turns[turn_of(exchange)]);
        }
        let mut cut = Wire::bare(Limits::default(), false);
        played(&mut cut, &recording, if tiny { &[1] } else { &lens });
        let by_pieces: Vec<_> = cut.out.iter().map(|exchange| written(exchange)).collect();
        let at_once: Vec<_> = whole.out.iter().map(|exchange| written(exchange)).collect();
        prop_assert_eq!(by_pieces, at_once);
        whole.finish();
        cut.finish();
    }

    /// With packets missing, or joined late: nothing is invented, and what is called complete is.
    #[test]
    fn with_packets_missing_what_is_complete_is_right(
        turns in prop::collection::vec(turn(), 1..16),
        sizes in sizes(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        join in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let recording = record(&turns, sizes);
        let from = join.map_or(0, |join| join.index(recording.len()));
        let lost: Vec<_> = lost.iter().map(|lost| lost.index(recording.len())).collect();
        let mut wire = Wire::bare(Limits::default(), join.is_some());
        for (n, (direction, bytes)) in recording.iter().enumerate().skip(from) {
            if lost.contains(&n) {
                wire.miss(*direction, bytes.len());
            } else {
                wire.say(*direction, bytes);
            }
        }
        wire.finish();
        let mut seen = std::collections::BTreeSet::new();
        for exchange in &wire.out {
            prop_assert!(seen.insert(exchange.stream_id), "once each");
            said(exchange, &turns[turn_of(exchange)]);
        }
        prop_assert_eq!(wire.count(Anomaly::BadHeaderBlock), 0);
        prop_assert_eq!(wire.count(Anomaly::BadFrame), 0);
    }
}
