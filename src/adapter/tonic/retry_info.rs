//! When to try again, as gRPC's richer error model says it: a `google.rpc.RetryInfo` in a
//! `google.rpc.Status`, which goes by `grpc-status-details-bin`. It is little enough of protobuf to
//! be written here.

use std::time::Duration;

use bytes::Bytes;
use tonic::Code;

const TYPE_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The details of a status with this code and message.
pub(super) fn details(code: Code, message: &str, delay: Duration) -> Bytes {
    let duration = Message::default()
        .number(1, delay.as_secs())
        .number(2, delay.subsec_nanos().into());
    let retry_info = Message::default().bytes(1, &duration.0);
    let any = Message::default()
        .bytes(1, TYPE_URL.as_bytes())
        .bytes(2, &retry_info.0);
    Message::default()
        .number(1, code as u64)
        .bytes(2, message.as_bytes())
        .bytes(3, &any.0)
        .0
        .into()
}

/// A protobuf message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(self, field: u8, value: u64) -> Self {
        self.key(field, 0).varint(value)
    }

    fn bytes(self, field: u8, value: &[u8]) -> Self {
        let mut this = self.key(field, 2).varint(value.len() as u64);
        this.0.extend_from_slice(value);
        this
    }

    fn key(mut self, field: u8, wire_type: u8) -> Self {
        self.0.push(field << 3 | wire_type);
        self
    }

    fn varint(mut self, mut value: u64) -> Self {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_protobuf_makes_of_it() {
        let details = details(Code::Unavailable, "down", Duration::from_millis(300_250));
        let expected = [
            b"\x08\x0e\x12\x04down\x1a\x36\x0a\x28".as_slice(),
            b"type.googleapis.com/google.rpc.RetryInfo",
            b"\x12\x0a\x0a\x08\x08\xac\x02\x10\x80\xe5\x9a\x77",
        ]
        .concat();
        assert_eq!(details, expected);
    }
}
