"""Answers the Open Inference Protocol over gRPC, with the model, validation, journal and limits of the REST routes."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from scorehouse import metrics
from scorehouse.access import Access
from scorehouse.errors import JournalError, ScorehouseError
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.readiness import readiness
from scorehouse.serving.serving import NotServing, Serving
from scorehouse.settings import HttpSettings
from server.web.api import tensors
from server.web.api.inference import EXTENSIONS, answer_all, choose, require
from server.web.api.problems import Problem
from server.web.rpc.messages import pb, read_inputs, to_metadata, to_response

log = logging.getLogger(__name__)
SERVICE = "inference.GRPCInferenceService"
STOP_SECONDS = 5.0  # for requests under way
_STREAMS = 100  # requests under way on one connection
_WAITING = 8  # requests per thread that may wait for one
_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
}
Handle = Callable[[Any, str | None], Message]


class GrpcDoor(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The service's methods around one door's model and journal."""

    def __init__(self, serving: Serving, deployment: Deployment, settings: HttpSettings, access: Access):
        """Serve what `serving` serves, to callers that `access` allows."""
        self._serving = serving
        self._deployment = deployment
        self._settings = settings
        self._access = access
        methods: Mapping[str, tuple[Any, Handle]] = {
            "ServerLive": (pb.ServerLiveRequest, lambda *_: pb.ServerLiveResponse(live=True)),
            "ServerReady": (pb.ServerReadyRequest, lambda *_: pb.ServerReadyResponse(ready=self._is_ready())),
            "ModelReady": (pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": (pb.ServerMetadataRequest, self._server_metadata),
            "ModelMetadata": (pb.ModelMetadataRequest, self._model_metadata),
            "ModelInfer": (pb.ModelInferRequest, self._infer),
        }
        self._handlers = {f"/{SERVICE}/{name}": self._handler(name, *method) for name, method in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method, or None for an unknown one."""
        return self._handlers.get(handler_call_details.method)

    def _handler(self, name: str, request: Any, handle: Handle) -> grpc.RpcMethodHandler:
        def answer(message: bytes, context: grpc.ServicerContext) -> Any:
            began = perf_counter()
            code, said = grpc.StatusCode.OK, ""
            try:
                caller = self._admit(context)
                return handle(request.FromString(message), caller)
            except DecodeError:
                code, said = grpc.StatusCode.INVALID_ARGUMENT, "the request is not a message of the protocol"
            except Problem as problem:
                code, said = _CODES.get(problem.status, grpc.StatusCode.INVALID_ARGUMENT), problem.detail
            except (NotServing, JournalError) as error:
                code, said = grpc.StatusCode.UNAVAILABLE, str(error)
            except Exception:
                log.exception("a gRPC request failed")
                code, said = grpc.StatusCode.INTERNAL, "see the scorer's log"
            finally:
                metrics.HTTP_REQUESTS.labels(f"grpc {name}", code.name).inc()
                metrics.HTTP_SECONDS.labels(f"grpc {name}").observe(perf_counter() - began)
            return context.abort(code, said)  # raises

        # The bytes are parsed above: gRPC would log a traceback for each request that is no message.
        return grpc.unary_unary_rpc_method_handler(answer, None, lambda reply: reply.SerializeToString())

    def _admit(self, context: grpc.ServicerContext) -> str | None:
        """Return who asks, if known. Raises Problem if they may not."""
        sent = {str(key).lower(): str(value) for key, value in context.invocation_metadata()}
        authorization = sent.get("authorization")
        # A browser cannot speak gRPC, so there is neither a Host nor an Origin to look at.
        if refused := self._access.refuse("POST", None, authorization, None):
            raise Problem(HTTPStatus(refused[0]), refused[1])
        return self._access.caller(authorization, sent.get("x-caller"))

    def _is_ready(self) -> bool:
        return not readiness(self._serving, self._deployment.status)["problem"]

    def _model_ready(self, message: Any, caller: str | None) -> Message:  # noqa: ARG002
        require(self._serving, message.name, message.version or None)
        return pb.ModelReadyResponse(ready=self._is_ready())

    def _server_metadata(self, message: Any, caller: str | None) -> Message:  # noqa: ARG002
        return pb.ServerMetadataResponse(name="scorehouse", version="2", extensions=EXTENSIONS)

    def _model_metadata(self, message: Any, caller: str | None) -> Message:  # noqa: ARG002
        return to_metadata(tensors.metadata(require(self._serving, message.name, message.version or None)))

    def _infer(self, message: Any, caller: str | None) -> Message:
        model = require(self._serving, message.model_name, message.model_version or None)
        records = tensors.records(read_inputs(message), model.bundle.features, self._settings.max_records)
        answers = answer_all(self._serving, model, records, message.id, caller)
        names = [output.name for output in message.outputs]
        return to_response(model.run_id, message, choose(tensors.outputs(model, answers), names))


def start(door: GrpcDoor, address: str, threads: int, most_bytes: int) -> grpc.Server:
    """Listen on `address` (host:port) until the process ends. Several workers may share a port.

    Raises:
        GrpcError: the address cannot be listened on.
    """
    server = grpc.server(
        ThreadPoolExecutor(threads, "grpc"),
        handlers=[door],
        maximum_concurrent_rpcs=threads * _WAITING,
        options=[
            ("grpc.max_receive_message_length", most_bytes),
            ("grpc.max_concurrent_streams", _STREAMS),
            ("grpc.max_connection_idle_ms", 300_000),
            ("grpc.so_reuseport", 1),
        ],
    )
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise GrpcError(f"GRPC_PORT: {address} cannot be listened on: another process may have the port") from error
    server.start()
    atexit.register(lambda: server.stop(STOP_SECONDS).wait(STOP_SECONDS))
    return server


class GrpcError(ScorehouseError):
    """The gRPC server cannot start."""
