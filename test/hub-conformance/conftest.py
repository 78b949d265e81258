"""The fixtures that huggingface_hub's tests expect (its own conftest.py is not in the source distribution), and a record of the run."""

import inspect
import json
import os
import shutil
import time
from contextlib import ExitStack
from tempfile import mkdtemp
from typing import Protocol

import pytest
from huggingface_hub import HfApi, RepoUrl, constants
from huggingface_hub.utils import _http

from .testing_constants import ENDPOINT_PRODUCTION, ENDPOINT_STAGING, TOKEN
from .testing_utils import repo_name

only = os.environ.get("HUB_TESTS_ONLY")
record = open(os.environ["HUB_TESTS_RECORD"], "a", buffering=1)

# Nothing here gets better by waiting: retries come at once.
for name in ("http_backoff", "http_stream_backoff"):
    if hasattr(_http, name):
        inspect.unwrap(getattr(_http, name)).__kwdefaults__.update(base_wait_time=0.01, max_wait_time=0.05)


def pytest_collection_modifyitems(config, items):
    """Keeps the tests that the runner lists, one node id a line."""
    if only is None:
        return
    with open(only) as listing:
        wanted = set(listing.read().splitlines())
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
    items[:] = [item for item in items if item.nodeid in wanted]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """One line a test, with the time span in which its requests fall."""
    item.reports = []
    begin = time.time()
    outcome = yield
    failed = next((report for report in item.reports if report.failed), None)
    skipped = next((report for report in item.reports if report.skipped), None)
    line = {
        "test": item.nodeid,
        "outcome": "failed" if failed else "skipped" if skipped else "passed",
        "begin": begin * 1000,
        "end": time.time() * 1000,
        "message": failed.longreprtext[-4000:] if failed else "",
    }
    record.write(json.dumps(line) + "\n")
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    item.reports.append(report)
    return report


@pytest.fixture(autouse=True)
def own_cache(mocker):
    folder = mkdtemp()
    for name, path in {
        "HF_HOME": "",
        "HF_HUB_CACHE": "hub",
        "HUGGINGFACE_HUB_CACHE": "hub",
        "HF_XET_CACHE": "xet",
        "HF_ASSETS_CACHE": "assets",
        "HF_TOKEN_PATH": "token",
        "HF_STORED_TOKENS_PATH": "stored_tokens",
    }.items():
        if hasattr(constants, name):
            mocker.patch.object(constants, name, os.path.join(folder, path))
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fx_cache_dir(request, tmp_path):
    request.cls.cache_dir = tmp_path


@pytest.fixture(autouse=True)
def plain_output(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_EXPERIMENTAL_WARNING", True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    try:
        from huggingface_hub.cli._output import out
        from huggingface_hub.utils import _detect_agent
    except ImportError:  # before 1.x
        return
    monkeypatch.setattr(_detect_agent, "_registry", _detect_agent._EMPTY_REGISTRY)
    out.set_mode()
    out.set_no_truncate(False)


@pytest.fixture(autouse=True)
def markers(request, monkeypatch):
    """`xet` switches Xet on; `deprecated(names)` wants their warnings; `no_xet` and `git_lfs` are not run."""
    node = request.node
    if node.get_closest_marker("no_xet") or node.get_closest_marker("git_lfs"):
        pytest.skip("not run here")
    if node.get_closest_marker("xet"):
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
        monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    names = [name for marker in node.iter_markers("deprecated") for name in marker.args]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(pytest.warns(FutureWarning, match=f".*'{name}'.*"))
        yield


@pytest.fixture(scope="session")
def api() -> HfApi:
    return HfApi(endpoint=ENDPOINT_STAGING, token=TOKEN)


@pytest.fixture(scope="session")
def api_prod() -> HfApi:
    return HfApi(endpoint=ENDPOINT_PRODUCTION)


class RepoFactory(Protocol):
    def __call__(self, repo_type: str = "model", **settings) -> RepoUrl: ...


@pytest.fixture
def repo_factory(api):
    """Makes repositories that are deleted when the test ends."""
    made = []

    def make(repo_type="model", **settings):
        if repo_type == "space":
            settings.setdefault("space_sdk", "gradio")
        settings.setdefault("repo_id", repo_name(prefix=repo_type))
        url = api.create_repo(repo_type=repo_type, **settings)
        made.append((url.repo_id, repo_type, settings.get("token")))
        return url

    yield make
    for repo_id, repo_type, token in made:
        api.delete_repo(repo_id=repo_id, repo_type=repo_type, token=token, missing_ok=True)
