"""The Open Inference Protocol over gRPC: a real server and a real channel on this machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import orjson
import pytest

from scorehouse.access import Access
from server.web.rpc import inference_pb2 as pb
from server.web.rpc.service import SERVICE, GrpcDoor, GrpcError, start
from tests.processes import free_port

Records = list[dict[str, Any]]
REPLIES = {
    "ServerLive": pb.ServerLiveResponse, "ServerReady": pb.ServerReadyResponse, "ModelReady": pb.ModelReadyResponse,
    "ServerMetadata": pb.ServerMetadataResponse, "ModelMetadata": pb.ModelMetadataResponse,
    "ModelInfer": pb.ModelInferResponse,
}  # fmt: skip
FIELDS = {"INT64": "int64_contents", "FP64": "fp64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}


class Client:
    """Calls the service's methods."""

    def __init__(self, port: int):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def __call__(self, method: str, request: Any, *metadata: tuple[str, str]) -> Any:
        def to_bytes(message: Any) -> bytes:
            return message if isinstance(message, bytes) else message.SerializeToString()

        call = self.channel.unary_unary(f"/{SERVICE}/{method}", to_bytes, REPLIES[method].FromString)
        return call(request, timeout=10, metadata=metadata)


@pytest.fixture(params=[""])
def client(request: pytest.FixtureRequest, door: Any) -> Iterator[Client]:
    """A client of a server around the door's model. The parameter is the secret of the services."""
    handler = GrpcDoor(door.serving, door.deployment, door.settings.http, Access(request.param, frozenset()))
    port = free_port()
    server = start(handler, f"127.0.0.1:{port}", 2, door.settings.max_body_bytes)
    one = Client(port)
    yield one
    one.channel.close()
    server.stop(None).wait()


def to_request(client: Client, records: Records, **more: Any) -> Any:
    about = client("ModelMetadata", pb.ModelMetadataRequest(name="churn"))
    types = {one.name: one.datatype for one in about.inputs}
    request = pb.ModelInferRequest(model_name="churn", **more)
    for name in records[0]:
        values = [record.get(name) for record in records]
        datatype = "FP64" if types[name] == "INT64" and None in values else types[name]
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(values)])
        if datatype == "BYTES":
            values = [(value or "").encode() for value in values]
        elif datatype == "FP64":
            values = [np.nan if value is None else value for value in values]
        getattr(tensor.contents, FIELDS[datatype]).extend(values)
    return request


def refused(client: Client, method: str, request: Any, *metadata: tuple[str, str]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        client(method, request, *metadata)
    error: Any = caught.value
    return error.code(), error.details()


def test_the_server_and_the_model_are_described(client: Client, door: Any) -> None:
    assert client("ServerLive", pb.ServerLiveRequest()).live
    assert client("ServerReady", pb.ServerReadyRequest()).ready
    assert client("ServerMetadata", pb.ServerMetadataRequest()).name == "scorehouse"
    assert client("ModelReady", pb.ModelReadyRequest(name="churn")).ready
    about = client("ModelMetadata", pb.ModelMetadataRequest(name="churn"))
    over_rest = door.client.get("/v2/models/churn").json
    for side in ("inputs", "outputs"):
        assert [(one.name, one.datatype, list(one.shape)) for one in getattr(about, side)] == [
            (one["name"], one["datatype"], one["shape"]) for one in over_rest[side]
        ]
    assert list(about.versions) == [door.serving.model.run_id]


def test_typed_and_raw_tensors_are_answered_as_by_predict(client: Client, door: Any, toy_records: Records) -> None:
    records = toy_records[:5]
    expected = [one["churn chance"] for one in door.post("/predict", records).json]
    typed = client("ModelInfer", to_request(client, records, id="mine"))
    chances, ids = typed.outputs
    assert (typed.id, typed.model_version) == ("mine", door.serving.model.run_id)
    assert (chances.name, list(chances.contents.fp64_contents)) == ("churn chance", expected)
    assert list(ids.contents.bytes_contents) == [f"mine:{n}".encode() for n in range(5)]
    rows = pb.ModelInferRequest(model_name="churn")
    rows.inputs.add(name="record", datatype="BYTES", shape=[5, 1])
    texts = [orjson.dumps(record) for record in records]
    rows.raw_input_contents.append(b"".join(len(t).to_bytes(4, "little") + t for t in texts))
    raw = client("ModelInfer", rows)
    assert np.frombuffer(raw.raw_output_contents[0], "<f8").tolist() == expected
    only = to_request(client, records)
    only.outputs.add(name="churn chance")
    assert [one.name for one in client("ModelInfer", only).outputs] == ["churn chance"]


def test_what_cannot_be_answered_has_a_code_and_a_reason(client: Client, toy_records: Records) -> None:
    bad = to_request(client, [{**toy_records[0], "customer_age": -1}])
    code, said = refused(client, "ModelInfer", bad)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "customer_age" in said
    code, said = refused(client, "ModelReady", pb.ModelReadyRequest(name="wine"))
    assert (code, said) == (grpc.StatusCode.NOT_FOUND, "there is no model 'wine'; this scorer has 'churn'")
    assert (
        refused(client, "ModelReady", pb.ModelReadyRequest(name="churn", version="7"))[0] is grpc.StatusCode.NOT_FOUND
    )
    for request in (
        pb.ModelInferRequest(model_name="churn"),
        pb.ModelInferRequest(model_name="churn", inputs=[{"name": "a", "datatype": "FP128", "shape": [1]}]),
        pb.ModelInferRequest(model_name="churn", inputs=[{"name": "a", "datatype": "FP64", "shape": [-1]}]),
        pb.ModelInferRequest(model_name="churn", inputs=[{"name": "a", "datatype": "FP64", "shape": [2**62, 2**62]}]),
        pb.ModelInferRequest(model_name="churn", inputs=[{"name": "a", "datatype": "FP16", "shape": [1]}]),
        pb.ModelInferRequest(
            model_name="churn", inputs=[{"name": "a", "datatype": "BYTES", "shape": [1]}], raw_input_contents=[b"\xff"]
        ),
        pb.ModelInferRequest(
            model_name="churn", inputs=[{"name": "a", "datatype": "FP64", "shape": [1]}], raw_input_contents=[b"", b""]
        ),
    ):
        assert refused(client, "ModelInfer", request)[0] is grpc.StatusCode.INVALID_ARGUMENT
    long = pb.ModelInferRequest(model_name="churn", raw_input_contents=[b"x" * 300_000])
    assert refused(client, "ModelInfer", long)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_hostile_bytes_break_nothing(client: Client, toy_records: Records) -> None:
    """Mutated messages are answered or refused, and the next one is answered as before."""
    random_ = random.Random(5)
    good = to_request(client, toy_records[:3]).SerializeToString()
    expected = client("ModelInfer", good).outputs[0].contents.fp64_contents
    codes = set()
    for _ in range(500):
        message = bytearray(good)
        for _ in range(random_.randrange(1, 6)):
            message[random_.randrange(len(message))] = random_.randrange(256)
        try:
            client("ModelInfer", bytes(message[: random_.randrange(1, len(message) + 1)]))
        except grpc.RpcError as error:
            codes.add(error.code())  # type: ignore[attr-defined]
    # INTERNAL is gRPC's own answer to bytes that are no message.
    assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL}
    assert client("ModelInfer", good).outputs[0].contents.fp64_contents == expected


@pytest.mark.parametrize("client", ["the secret"], indirect=True)
def test_with_a_secret_only_those_who_have_it_are_answered(client: Client, door: Any, toy_records: Records) -> None:
    code, said = refused(client, "ServerLive", pb.ServerLiveRequest())
    assert code is grpc.StatusCode.UNAUTHENTICATED and "secret" in said
    secret = ("authorization", "Bearer the secret")
    assert client("ServerLive", pb.ServerLiveRequest(), secret).live
    request = pb.ModelInferRequest(model_name="churn")
    request.inputs.add(name="record", datatype="BYTES", shape=[1]).contents.bytes_contents.append(
        orjson.dumps(toy_records[0])
    )
    client("ModelInfer", request, secret, ("x-caller", "shop"))
    assert [line.get("caller") for line in door.journalled() if line["kind"] == "prediction"] == ["shop"]


def test_a_port_that_is_taken_is_told_in_one_line(door: Any) -> None:
    handler = GrpcDoor(door.serving, door.deployment, door.settings.http, Access("", frozenset()))
    with pytest.raises(GrpcError, match=r"GRPC_PORT: 203\.0\.113\.7:9697 cannot be listened on"):
        start(handler, "203.0.113.7:9697", 1, 1024)


def test_without_a_model_the_service_is_alive_but_not_ready(empty_door: Any) -> None:
    handler = GrpcDoor(empty_door.serving, empty_door.deployment, empty_door.settings.http, Access("", frozenset()))
    port = free_port()
    server = start(handler, f"127.0.0.1:{port}", 1, 1024)
    client = Client(port)
    assert client("ServerLive", pb.ServerLiveRequest()).live
    assert not client("ServerReady", pb.ServerReadyRequest()).ready
    assert refused(client, "ModelReady", pb.ModelReadyRequest(name="churn"))[0] is grpc.StatusCode.UNAVAILABLE
    client.channel.close()
    server.stop(None).wait()
