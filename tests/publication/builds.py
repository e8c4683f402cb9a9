"""Builds whose stages are fresh though nothing was trained, as publishing needs them."""

from builder.engine import freshness, publish
from builder.engine.hashes import Hashes
from builder.stages import smoke
from tests.archive.builds import HEAVY, finish, pretend
from tests.report.pages import make_found


def make_fresh(folder, **changes):
    """Make a build of a persona with a true examination, but for the changes."""
    build = finish(folder, stages=[stage for stage in HEAVY if stage is not smoke])
    examine(build, **changes)
    return build


def examine(build, **changes):
    """Publish an examination, as the smoke stage does."""
    hashes = Hashes(build.folder)
    made = build.folder / publish.NEW / build.smoke.name
    made.parent.mkdir(exist_ok=True)
    make_found(**changes).write(made)
    described = freshness.describe(smoke, build, smoke.inputs(build), hashes)
    publish.publish(
        smoke, build, made, description=described, summary="", took_s=1.0, hashes=hashes
    )
    hashes.save()


__all__ = ["examine", "make_fresh", "pretend"]
