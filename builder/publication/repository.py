"""A repository on the hub: its files, the plan of a push, and the push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from builder.bases import hub
from builder.errors import ToolError
from builder.publication import rejections
from builder.publication.bundle import SERVING, Item

State = Literal["new", "unchanged", "replaced"]
MESSAGE = "Push by persona"


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The state of a repository on the hub."""

    name: str
    is_there: bool
    is_private: bool
    """Whether it is private, or will be if it does not exist yet."""
    commit: str | None = None
    digests: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of large files and git's hash of small ones, by path."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a push would do."""

    remote: Remote
    items: tuple[Item, ...]
    removed: tuple[str, ...] = ()
    """Paths of an earlier push that are removed: the build no longer has them, or Ollama must not
    read them."""

    def find_state(self, item: Item) -> State:
        """Say what the push does with a file."""
        there = self.remote.digests.get(item.path)
        return "new" if there is None else "unchanged" if there in item.digests else "replaced"

    @property
    def changed(self) -> list[Item]:
        """The files to send."""
        return [item for item in self.items if self.find_state(item) != "unchanged"]

    @property
    def is_empty(self) -> bool:
        """Whether the repository is up to date."""
        return self.remote.is_there and not self.changed and not self.removed


def check_settings() -> None:
    """Check that the hub can be used.

    Raises:
        ToolError: The client is offline, or has no token.

    """
    settings = hub.read_settings()
    if settings.is_offline:
        offline = f"{settings.endpoint}: is not asked while HF_HUB_OFFLINE is set, expected to be"
        raise ToolError(offline, hint="unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE")
    if not settings.token:
        msg = f"{settings.endpoint}: no token for it is here, expected one"
        raise ToolError(msg, hint=rejections.SIGN_IN)


def ask(name: str, *, is_public: bool) -> Remote:
    """Ask the hub for the state of a repository.

    Raises:
        ToolError: The hub does not answer, or refuses.

    """
    with rejections.explaining(name):
        from huggingface_hub import HfApi, errors  # noqa: PLC0415 — takes a while

        try:
            found = HfApi().model_info(name, files_metadata=True, timeout=30)
        except errors.RepositoryNotFoundError as error:
            if error.response.status_code != 404:
                raise
            return Remote(name=name, is_there=False, is_private=not is_public)
        digests = {
            one.rfilename: str(one.lfs.sha256 if one.lfs else one.blob_id)
            for one in found.siblings or ()
        }
        return Remote(
            name=name,
            is_there=True,
            is_private=bool(found.private),
            commit=found.sha,
            digests=digests,
        )


def plan(
    remote: Remote, items: Sequence[Item], pushed: dict[str, str], *, is_replacing: bool
) -> Plan:
    """Plan a push, and refuse to replace files that no push of this build has published.

    Args:
        remote: The repository.
        items: The files to publish.
        pushed: The hub's hashes of the last push, by path.
        is_replacing: Whether other files may be replaced.

    Raises:
        ToolError: A file there is not from a push of this build.

    """
    paths = {item.path for item in items}
    there = remote.digests
    leftover = [path for path in pushed if path not in paths and there.get(path) == pushed[path]]
    serving = [path for path in SERVING if path in there and path not in paths]
    found = Plan(
        remote=remote,
        items=tuple(items),
        removed=tuple(dict.fromkeys([*leftover, *serving])),
    )
    replaced = [item.path for item in items if found.find_state(item) == "replaced"]
    own = [path for path in (*replaced, *serving) if pushed.get(path) != there[path]]
    if own and not is_replacing:
        what = "was" if len(own) == 1 else "were"
        msg = f"{remote.name}: {', '.join(own)} {what} not put there as it is by a push from here"
        hint = "look at it there; --replace replaces it, and the repository's history keeps it"
        raise ToolError(f"{msg}, expected no change", hint=hint)
    return found


def push(wanted: Plan, *, shows_bars: bool) -> dict[str, str]:
    """Create the repository if necessary, and send the changed files as one commit.

    Args:
        wanted: The plan.
        shows_bars: Whether the hub's client draws its bars on stderr.

    Returns:
        The hub's hashes of the build's files, by path.

    Raises:
        ToolError: The hub refuses it, or has other files afterwards.

    """
    remote = wanted.remote
    with rejections.explaining(remote.name):
        from huggingface_hub import (  # noqa: PLC0415 — takes a while
            CommitOperationAdd,
            CommitOperationDelete,
            HfApi,
        )
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415 — likewise

        if not shows_bars:
            disable_progress_bars()
        api = HfApi()
        if not remote.is_there:
            api.create_repo(remote.name, private=remote.is_private, exist_ok=True)
        added = [
            CommitOperationAdd(path_in_repo=item.path, path_or_fileobj=item.content)
            for item in wanted.changed
        ]
        removed = [CommitOperationDelete(path_in_repo=path) for path in wanted.removed]
        api.create_commit(
            remote.name,
            operations=[*added, *removed],
            commit_message=MESSAGE,
            parent_commit=remote.commit,
        )
    after = ask(remote.name, is_public=not remote.is_private)
    wrong = [item.path for item in wanted.items if after.digests.get(item.path) not in item.digests]
    if wrong:
        msg = f"{remote.name}: {', '.join(wrong)} is not what was sent, expected the same content"
        raise ToolError(msg, hint=rejections.PUSH.again)
    return list_digests(after, (item.path for item in wanted.items))


def list_digests(remote: Remote, paths: Iterable[str]) -> dict[str, str]:
    """List the hub's hashes of files, by path."""
    return {path: remote.digests[path] for path in paths}
