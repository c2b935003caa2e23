"""A Qdrant cluster as its clients see it: a real HTTP server before qdrant-client's local mode.

Each shard is a collection of the local mode, so that its IDF is its own, as in a cluster. Told to,
the server fails as gateways and nodes do; what it was asked stands in ``requests``.
"""

import json
import socket
import struct
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Json: TypeAlias = dict[str, Any]

# refuse: 503, nothing is done; reset: the connection is cut, nothing is done; lost: all is done and
# the connection cut; half: all is done, half of the answer is sent; late: done, after 0.3 s; drip:
# done, the answer comes byte by byte.
FAULTS = ("refuse", "reset", "lost", "half", "late", "drip")
_KEYLESS = ""


@dataclass
class Asked:
    """One request; ``fault`` is what was made of it."""

    method: str
    path: str
    key: str | None
    body: Any
    fault: str | None


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Collection:
    """How a collection was made, and the local collections that are its shards, by shard key."""

    made: Json
    shards: dict[str, list[str]] = field(default_factory=dict)

    @property
    def custom(self) -> bool:
        return self.made.get("sharding_method") == "custom"


class Cluster:
    """Collections with shards, each asked by itself and the answers put together."""

    def __init__(self) -> None:
        from qdrant_client import QdrantClient

        self.local = QdrantClient(":memory:")
        self.collections: dict[str, Collection] = {}

    def answer(self, method: str, parts: list[str], body: Any) -> Any:
        """Return the result of a request to /collections/NAME/..."""
        name, what = parts[0], "/".join(parts[1:])
        if what == "exists":
            return {"exists": name in self.collections}
        if (method, what) == ("PUT", ""):
            return self._create(name, body)
        if name not in self.collections:
            raise RefusalError(404, f"Not found: Collection `{name}` doesn't exist!")
        routes = {
            "GET ": self._info,
            "DELETE ": self._drop,
            "GET shards": self._keys,
            "PUT shards": self._add_key,
            "PUT index": lambda *_: {"operation_id": 1, "status": "completed"},
            "PUT points": self._upsert,
            "POST points": self._retrieve,
            "POST points/delete": self._delete,
            "POST points/count": self._count,
            "POST points/scroll": self._scroll,
            "POST points/query/batch": self._query,
        }
        route = routes.get(f"{method} {what}")
        if route is None:
            raise RefusalError(404, f"no such route: {method} {what}")
        return route(name, body or {})

    def _create(self, name: str, body: Json) -> bool:
        if name in self.collections:
            raise RefusalError(409, f"Wrong input: Collection `{name}` already exists!")
        self.collections[name] = Collection(body)
        if not self.collections[name].custom:
            self._add_shards(name, _KEYLESS)
        return True

    def _drop(self, name: str, _: Json) -> bool:
        for shard in self._shards(name, None):
            self.local.delete_collection(shard)
        del self.collections[name]
        return True

    def _add_key(self, name: str, body: Json) -> bool:
        known = self.collections[name]
        if not known.custom:
            raise RefusalError(400, "Shard key cannot be used with auto sharding")
        if body["shard_key"] in known.shards:
            raise RefusalError(409, f"Shard key {body['shard_key']} already exists")
        self._add_shards(name, body["shard_key"])
        return True

    def _add_shards(self, name: str, key: str) -> None:
        from qdrant_client import models

        known = self.collections[name]
        made = models.CreateCollection.model_validate(known.made)
        known.shards[key] = []
        for number in range(known.made.get("shard_number") or 1):
            shard = f"{name}--{key}--{number}"
            self.local.create_collection(
                shard,
                vectors_config=made.vectors,
                sparse_vectors_config=made.sparse_vectors,
            )
            known.shards[key].append(shard)

    def _keys(self, name: str, _: Json) -> Json:
        return {"shard_keys": [{"key": key} for key in self.collections[name].shards]}

    def _info(self, name: str, _: Json) -> Json:
        made = self.collections[name].made
        params = {key: made.get(key) for key in ("vectors", "sparse_vectors", "sharding_method")}
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "config": {
                "params": params,
                "hnsw_config": {"m": 0, "ef_construct": 100, "full_scan_threshold": 10000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
            },
            "payload_schema": {},
        }

    def _shards(self, name: str, key: str | None) -> list[str]:
        known = self.collections[name]
        if key is None:
            return [shard for shards in known.shards.values() for shard in shards]
        if key not in known.shards:
            raise RefusalError(400, f"Shard key {key} not found")
        return known.shards[key]

    def _home(self, name: str, body: Json, point: str) -> str:
        known = self.collections[name]
        if known.custom and body.get("shard_key") is None:
            raise RefusalError(400, "Shard key not specified")
        shards = self._shards(name, body.get("shard_key") or _KEYLESS)
        return shards[uuid.UUID(point).int % len(shards)]

    def _upsert(self, name: str, body: Json) -> Json:
        from qdrant_client import models

        for point in body["points"]:
            shard = self._home(name, body, point["id"])
            self.local.upsert(shard, [models.PointStruct.model_validate(point)])
        return {"operation_id": 1, "status": "completed"}

    def _delete(self, name: str, body: Json) -> Json:
        from qdrant_client import models

        chosen = models.FilterSelector(filter=models.Filter.model_validate(body["filter"]))
        for shard in self._shards(name, body.get("shard_key")):
            self.local.delete(shard, chosen)
        return {"operation_id": 1, "status": "completed"}

    def _retrieve(self, name: str, body: Json) -> list[Json]:
        found = []
        for shard in self._shards(name, body.get("shard_key")):
            found += self.local.retrieve(
                shard, body["ids"], with_payload=True, with_vectors=bool(body.get("with_vector"))
            )
        return [_plain(record) for record in found]

    def _count(self, name: str, body: Json) -> Json:
        from qdrant_client import models

        where = models.Filter.model_validate(body["filter"]) if body.get("filter") else None
        shards = self._shards(name, body.get("shard_key"))
        return {"count": sum(self.local.count(shard, where).count for shard in shards)}

    def _scroll(self, name: str, body: Json) -> Json:
        limit, after = body["limit"], body.get("offset")
        found = []
        for shard in self._shards(name, body.get("shard_key")):
            found += self.local.scroll(shard, limit=100_000, with_payload=True)[0]
        found.sort(key=lambda record: str(record.id))
        rest = [record for record in found if after is None or str(record.id) >= str(after)]
        following = str(rest[limit].id) if len(rest) > limit else None
        return {"points": [_plain(r) for r in rest[:limit]], "next_page_offset": following}

    def _query(self, name: str, body: Json) -> list[Json]:
        return [self._one(name, search) for search in body["searches"]]

    def _one(self, name: str, search: Json) -> Json:
        from qdrant_client import models

        request = models.QueryRequest.model_validate(search)
        found: list[models.ScoredPoint] = []
        for shard in self._shards(name, search.get("shard_key")):
            answers = self.local.query_batch_points(shard, [request])
            found += answers[0].points
        found.sort(key=lambda point: -point.score)
        return {"points": [_plain(point) for point in found[: search["limit"]]]}


def _plain(value: Any) -> Any:
    return json.loads(value.model_dump_json(exclude_none=True))


@dataclass
class Gateway:
    """The address of a cluster, and what is to go wrong there.

    ``faults`` are met by one request each, in order, None by none; ``slow`` is before every
    answer [s]. With keys, a request needs one of them, and the one that reads may not write.
    """

    url: str = ""
    cluster: Cluster = field(default_factory=Cluster)
    requests: list[Asked] = field(default_factory=list)
    faults: list[str | None] = field(default_factory=list)
    slow: float = 0.0
    write_key: str | None = None
    read_key: str | None = None
    _port: int = 0
    _server: ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Listen, at the same port as before if there was one."""
        handler = partial(_Handler, self)
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_port
        self.url = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Be gone: from now on connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def asked(self, method: str, ending: str) -> list[Asked]:
        """Return the requests to a path, in order."""
        return [r for r in self.requests if r.method == method and r.path.endswith(ending)]

    def points(self, collection: str) -> dict[str, list[str]]:
        """Return the shard keys (or ``""``) under which each point lies: one, if all is well."""
        lies: dict[str, list[str]] = {}
        for key, shards in self.cluster.collections[collection].shards.items():
            for shard in shards:
                for record in self.cluster.local.scroll(shard, limit=100_000)[0]:
                    lies.setdefault(str(record.id), []).append(key)
        return lies

    def note(self, request: Asked) -> None:
        """Write a request down with the fault that it meets."""
        with self._lock:
            request.fault = self.faults.pop(0) if self.faults else None
            self.requests.append(request)

    def result(self, request: Asked) -> tuple[int, Json]:
        """Return status and body of the answer; one request at a time, as local mode wants it."""
        try:
            self._admit(request)
            with self._lock:
                parts = request.path.strip("/").split("/")[1:]
                found = self.cluster.answer(request.method, parts, request.body)
        except RefusalError as exc:
            return exc.status, {"status": {"error": str(exc)}, "time": 0.0}
        except (ValueError, KeyError) as exc:  # what a server that understands no word would say
            return 400, {"status": {"error": f"cannot be read: {exc!r}"}, "time": 0.0}
        return 200, {"result": found, "status": "ok", "time": 0.0}

    def _admit(self, request: Asked) -> None:
        if self.write_key is None or request.key == self.write_key:
            return
        if request.key is None or request.key != self.read_key:
            raise RefusalError(401, "Must provide an API key or an Authorization bearer token")
        reads = request.method == "GET" or not request.path.endswith("/delete")
        if request.method not in ("GET", "POST") or not reads:
            raise RefusalError(403, "Forbidden: the key only reads")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, gateway: Gateway, *args: Any) -> None:
        self.gateway = gateway
        super().__init__(*args)

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, key = urlsplit(self.path).path, self.headers.get("api-key")
        request = Asked(self.command, path, key, json.loads(raw) if raw else None, None)
        self.gateway.note(request)
        if request.fault == "reset":
            return self._cut()
        if request.fault == "refuse":
            return self._send(503, b'{"status": {"error": "no node"}, "time": 0}')
        status, body = self.gateway.result(request)
        time.sleep(0.3 if request.fault == "late" else self.gateway.slow)
        if request.fault == "lost":
            return self._cut()
        data = json.dumps(body).encode()
        if request.fault == "drip":
            return self._drip(status, data)
        return self._send(status, data, half=request.fault == "half")

    def _send(self, status: int, data: bytes, *, half: bool = False) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if half else data)
            if half:
                self._cut()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _drip(self, status: int, data: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                self.wfile.flush()
                time.sleep(0.05)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _cut(self) -> None:
        self.close_connection = True
        # A linger of no time makes the kernel send a reset instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names that the base class looks up

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""
