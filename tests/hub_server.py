"""A Hugging Face Hub in miniature on 127.0.0.1, for the real client: repositories in memory, and trouble on demand.

It answers what huggingface_hub 2.4 asks to create, fill, read and pin a model repository or a Space. Files above 5 kB
and all weights go the LFS way. A test module takes the fixtures `hub` and `clients` with pytest_plugins. (The asserts
here are plain ones: PYTEST_DONT_REWRITE.)
"""

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

ROOT = Path(__file__).parent.parent
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SEED = {  # what the Hub puts in a new Space
    ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": b"---\ntitle: Page\nemoji: X\ncolorFrom: pink\ncolorTo: gray\nsdk: gradio\n---\n\nWelcome!\n",
}


class User(NamedTuple):
    name: str
    may_write: bool = True
    pays: bool = True


class Refused(Exception):
    """An error as the Hub words it: the client looks at the status and at these headers."""

    def __init__(self, status: int, message: str, code: str = ""):
        headers = {"X-Error-Message": message, "X-Error-Code": code}
        self.response = PlainTextResponse("", status, {name: value for name, value in headers.items() if value})


@dataclass
class Repo:
    private: bool = False
    gated: bool = False
    status: int = 0  # what it always answers with, if not 0
    short: int = 0  # bytes that every download lacks
    bent: int = 0  # how many downloads of weights have a wrong bit
    refs: dict[str, str] = field(default_factory=dict)  # branches and tags -> commit
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # in the order they were made
    messages: list[str] = field(default_factory=list)
    hardware: str = "cpu-basic"  # of a Space

    def __post_init__(self) -> None:
        self.commit("main", {}, "initial commit")

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        oid = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        self.commits[oid] = files
        self.messages.append(message)
        self.refs[branch] = oid
        return oid

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.refs["main"]]


class Hub:
    """What it holds, and how it behaves: tests read and change these while it runs."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}  # by "owner/name", and after "datasets/" or "spaces/" where they are that
        self.users = {
            "hf_owner": User("owner"), "hf_reader": User("owner", may_write=False), "hf_guest": User("guest"),
            "hf_free": User("free", pays=False),
        }  # fmt: skip
        self.trouble: dict[str, Iterator[int]] = {}  # what is asked ("commit") -> statuses to answer before it works
        self.open = threading.Event()  # commits wait until it is set
        self.open.set()
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0  # commits being made
        self.objects: dict[str, bytes] = {}  # LFS, by SHA-256
        self.url = ""

    # ---- what the client asks ------------------------------------------------------------------------------------

    async def whoami(self, request: Request) -> Response:
        user = self.user(request)
        return JSONResponse({"name": user.name, "type": "user", "orgs": []})

    async def create(self, request: Request) -> Response:
        user, wanted = self.user(request), await request.json()
        repo_id = f"{wanted.get('organization') or user.name}/{wanted['name']}"
        if not user.may_write or repo_id.split("/")[0] != user.name:
            raise Refused(403, f"You don't have the rights to create a model under this namespace: {repo_id}")
        space, hardware = wanted.get("type") == "space", wanted.get("hardware", "cpu-basic")
        assert not space or wanted["sdk"] == "gradio"
        path = f"spaces/{repo_id}" if space else repo_id
        known = path in self.repos
        if not known and space and not user.pays and hardware != "zero-a10g":
            raise Refused(402, "Subscribe to PRO to create Spaces on this hardware")
        if not known:
            self.repos[path] = Repo(private=wanted.get("visibility") == "private", hardware=hardware)
            if space:
                self.repos[path].commit("main", SEED, "a template")
        return JSONResponse({"url": f"{self.url}/{path}"}, 409 if known else 200)

    async def hardware(self, request: Request) -> Response:
        repo = self.repo(request, write=True)
        repo.hardware = (await request.json())["flavor"]
        return JSONResponse(runtime(repo))

    async def validate(self, request: Request) -> Response:
        try:
            asked = await request.json()
            _, front, _ = asked["content"].split("---\n", 2)
            card = yaml.safe_load(front)
            if asked["repoType"] == "space":
                assert {card["colorFrom"], card["colorTo"]} <= COLOURS
                assert len(card["short_description"]) <= 60
            assert isinstance(card["license"], str)
            assert " " not in card["license"]
            for model in card.get("model-index", []):
                for result in model["results"]:
                    assert model["name"]
                    assert result["task"]["type"]
                    assert result["dataset"]["type"]
                    assert result["dataset"]["name"]
                    assert all(metric["type"] and metric["value"] is not None for metric in result["metrics"])
        except (ValueError, KeyError, AssertionError, yaml.YAMLError) as error:
            return JSONResponse({"errors": [{"message": f"bad metadata: {error!r}"}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    async def auth_check(self, request: Request) -> Response:
        self.repo(request, write=True)
        return JSONResponse({})

    async def preupload(self, request: Request) -> Response:
        _, files = self.revision(request, write=True)
        answers = []
        for file in (await request.json())["files"]:
            path, mode = file["path"], "lfs" if is_lfs(file["path"], file["size"]) else "regular"
            known = {"oid": oid(path, files[path])} if path in files else {}
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False} | known)
        return JSONResponse({"files": answers})

    async def lfs_batch(self, request: Request) -> Response:
        self.repo(request, write=True)
        objects = []
        for thing in (await request.json())["objects"]:
            upload = {"upload": {"href": f"{self.url}/lfs/{thing['oid']}"}}
            objects.append(thing | ({} if thing["oid"] in self.objects else {"actions": upload}))
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def lfs_upload(self, request: Request) -> Response:
        data = await request.body()
        assert hashlib.sha256(data).hexdigest() == request.path_params["oid"]
        self.objects[request.path_params["oid"]] = data
        return PlainTextResponse("")

    async def commit(self, request: Request) -> Response:
        repo = self.repo(request, write=True)
        _, files = self.revision(request, write=True)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        while not self.open.is_set():
            await asyncio.sleep(0.01)
        self.at_once -= 1
        files, message = dict(files), ""
        for line in (await request.body()).splitlines():
            match json.loads(line):
                case {"key": "header", "value": value}:
                    message = value["summary"]
                case {"key": "file", "value": value}:
                    files[value["path"]] = base64.b64decode(value["content"])
                case {"key": "lfsFile", "value": value}:
                    files[value["path"]] = self.objects[value["oid"]]
                case {"key": "deletedFile", "value": value}:
                    del files[value["path"]]
        made = repo.commit(request.path_params["revision"], files, message)
        url = f"{self.url}/{name(request)}/commit/{made}"
        return JSONResponse({"commitOid": made, "commitUrl": url, "pullRequestUrl": None})

    async def ref(self, request: Request) -> Response:
        """Make a branch or a tag."""
        repo, wanted = self.repo(request, write=True), await request.json()
        new = request.path_params.get("branch") or wanted["tag"]
        if new in repo.refs:
            raise Refused(409, "Reference already exists")
        repo.refs[new] = repo.refs[request.path_params.get("revision") or wanted.get("startingPoint", "main")]
        return JSONResponse({})

    async def info(self, request: Request) -> Response:
        repo = self.repo(request)
        commit, files = self.revision(request)
        siblings = [{"rfilename": path} for path in files]
        facts = {"id": name(request), "sha": commit, "private": repo.private, "gated": "auto" if repo.gated else False}
        return JSONResponse(facts | {"siblings": siblings, "tags": [], "runtime": runtime(repo)})

    async def tree(self, request: Request) -> Response:
        _, files = self.revision(request)
        listed = []
        for path, data in files.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob_sha1(data)}
            if is_lfs(path, len(data)):
                entry["lfs"] = {"oid": oid(path, data), "size": len(data), "pointerSize": 134}
            listed.append(entry)
        return JSONResponse(listed)

    async def resolve(self, request: Request) -> Response:
        commit, files = self.revision(request)
        repo = self.repo(request)
        if repo.gated:
            raise Refused(403, f"Access to model {name(request)} is restricted", "GatedRepo")
        path = request.path_params["path"]
        if path not in files:
            response = Refused(404, "Entry not found", "EntryNotFound").response
            response.headers["X-Repo-Commit"] = commit
            return response
        data = files[path]
        headers = {"ETag": f'"{oid(path, data)}"', "X-Repo-Commit": commit}
        if request.method == "GET" and repo.bent and path.endswith(".safetensors"):
            repo.bent -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        if request.method == "GET" and repo.short:
            data = data[: -repo.short]
        return Response(data, headers=headers)

    # ---- who asks, and for what ------------------------------------------------------------------------------------

    def user(self, request: Request) -> User:
        if (user := self.visitor(request)) is None:
            raise Refused(401, "Invalid username or password.")
        return user

    def visitor(self, request: Request) -> User | None:
        """None: somebody without a token."""
        if (header := request.headers.get("authorization")) is None:
            return None
        if (token := header.removeprefix("Bearer ")) not in self.users:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.users[token]

    def repo(self, request: Request, *, write: bool = False) -> Repo:
        kind = next((kind for kind in ("datasets/", "spaces/") if f"/{kind}" in request.url.path), "")
        user, repo = self.visitor(request), self.repos.get(kind + name(request))
        if repo and repo.status:
            raise Refused(repo.status, "out of order")
        owned = user is not None and user.name == request.path_params["owner"]
        if repo is None or (repo.private and not owned):
            if user is None:  # the Hub does not say which private ones there are (without a code, but only on https)
                raise Refused(401, "Invalid username or password.", "RepoNotFound")
            raise Refused(404, "Repository not found", "RepoNotFound")
        if write and not (owned and user and user.may_write):
            raise Refused(403, "Forbidden: pass a token with write access")
        return repo

    def revision(self, request: Request, *, write: bool = False) -> tuple[str, dict[str, bytes]]:
        repo, revision = self.repo(request, write=write), request.path_params.get("revision", "main")
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit, repo.commits[commit]

    def application(self) -> Starlette:
        def route(methods: str, path: str, answer: Any) -> Route:
            async def endpoint(request: Request) -> Response:
                self.asked.append(f"{request.method} {request.url.path}")
                if status := next(self.trouble.get(answer.__name__, iter(())), None):
                    return PlainTextResponse("out of order", status)
                try:
                    return await answer(request)
                except Refused as refused:
                    return refused.response

            return Route(path, endpoint, methods=methods.split())

        repo = "/{owner}/{name}"
        routes = [
            route("GET", "/api/whoami-v2", self.whoami),
            route("POST", "/api/repos/create", self.create),
            route("POST", "/api/validate-yaml", self.validate),
            route("PUT", "/lfs/{oid}", self.lfs_upload),
            route("GET", f"/api/datasets{repo}/tree/{{revision}}", self.tree),
            route("GET", f"/api/datasets{repo}/revision/{{revision}}", self.info),
            route("GET", f"/datasets{repo}/resolve/{{revision}}/{{path:path}}", self.resolve),
            route("POST", f"/api/spaces{repo}/hardware", self.hardware),
        ]
        for api, file in ((f"/api/models{repo}", repo), (f"/api/spaces{repo}", f"/spaces{repo}")):
            routes += [
                route("GET", api + "/auth-check/write", self.auth_check),
                route("POST", api + "/preupload/{revision}", self.preupload),
                route("POST", api + "/commit/{revision}", self.commit),
                route("POST", api + "/branch/{branch}", self.ref),
                route("POST", api + "/tag/{revision}", self.ref),
                route("GET", api + "/tree/{revision}", self.tree),
                route("GET", api + "/revision/{revision}", self.info),
                route("GET", api, self.info),
                route("POST", file + ".git/info/lfs/objects/batch", self.lfs_batch),
                route("GET", file + "/resolve/{revision}/{path:path}", self.resolve),
            ]
        return Starlette(routes=routes)


def name(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"


def runtime(repo: Repo) -> dict[str, Any]:
    return {"stage": "RUNNING", "hardware": {"current": repo.hardware, "requested": repo.hardware}}


def is_lfs(path: str, size: int) -> bool:
    return path.endswith(".safetensors") or size > 5000


def oid(path: str, data: bytes) -> str:
    """By which the client tells whether a file is the same."""
    return hashlib.sha256(data).hexdigest() if is_lfs(path, len(data)) else blob_sha1(data)


def blob_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Done(NamedTuple):
    """What became of a client's program."""

    status: int
    stdout: str
    stderr: str


class Clients:
    """Programs that use the real huggingface_hub, in processes of their own (see hub_client)."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "hub_client.py")],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._answer() == "ready"

    def start(self, program: str, hub: Hub, folder: Path, **settings: str) -> None:
        """Run `program` in `folder`, which also has the client's cache. `settings` go to its environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
        told = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"} | settings
        self.folder = folder
        job = {"program": program, "environment": kept | told, "folder": str(folder)}
        assert self.process.stdin is not None
        print(json.dumps(job), file=self.process.stdin, flush=True)

    def wait(self) -> Done:
        status = int(self._answer())
        return Done(status, (self.folder / "stdout").read_text(), (self.folder / "stderr").read_text())

    def run(self, program: str, hub: Hub, folder: Path, **settings: str) -> Done:
        self.start(program, hub, folder, **settings)
        return self.wait()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    clients.process.terminate()
    clients.process.wait()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    config = uvicorn.Config(hub.application(), host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    hub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield hub
    hub.open.set()
    server.should_exit = True
    thread.join(10)
