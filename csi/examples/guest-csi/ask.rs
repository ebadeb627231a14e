//! One call: a request in the interface's JSON, and what became of it. Nothing of it is known here but the descriptors, so that what is
//! malformed can be asked as well.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::uri::PathAndQuery;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A call that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: MethodDescriptor,
    request: Vec<u8>,
    limit: Duration,
}

impl Call {
    /// Reads `{"ask": METHOD, "with": REQUEST, "within": SECONDS}`.
    pub(crate) fn of(pool: &DescriptorPool, value: &Value) -> Result<Self> {
        let name = value["ask"].as_str().context("a call without `ask`")?;
        let mut methods = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let method = methods
            .find(|method| method.name() == name)
            .with_context(|| format!("the interface has no {name}"))?;
        let with = match &value["with"] {
            Value::Null => json!({}),
            with => with.clone(),
        };
        let message = DynamicMessage::deserialize(method.input(), with);
        let message = message.with_context(|| format!("{name}: no such request"))?;
        Ok(Call {
            method,
            request: message.encode_to_vec(),
            limit: Duration::from_secs(value["within"].as_u64().unwrap_or(100)),
        })
    }

    /// Makes it: `{"ok": ANSWER}` or `{"code": …, "why": …}`, with how long it took.
    pub(crate) async fn make(self, channel: Channel) -> Result<Value> {
        let begun = Instant::now();
        let answer = self.answer(channel).await;
        let mut told = match answer {
            Ok(bytes) => {
                let message = DynamicMessage::decode(self.method.output(), bytes.as_slice())?;
                let options = SerializeOptions::new()
                    .stringify_64_bit_integers(false)
                    .use_proto_field_name(true);
                let value = message.serialize_with_options(serde_json::value::Serializer, &options);
                json!({"ok": value?})
            }
            Err(status) => {
                json!({"code": format!("{:?}", status.code()), "why": status.message()})
            }
        };
        told["seconds"] = json!(begun.elapsed().as_secs_f64());
        Ok(told)
    }

    async fn answer(&self, channel: Channel) -> Result<Vec<u8>, Status> {
        let mut client = Grpc::new(channel);
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let service = self.method.parent_service().full_name();
        let path = format!("/{service}/{}", self.method.name());
        let path: PathAndQuery = path
            .parse()
            .map_err(|_| Status::internal("a path that is none"))?;
        let mut request = Request::new(self.request.clone());
        request.set_timeout(self.limit);
        let answer = client.unary(request, path, Raw).await?;
        Ok(answer.into_inner())
    }
}

/// Messages are bytes here.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
