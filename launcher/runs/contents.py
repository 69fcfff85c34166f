"""What is in an attempt's image: known from before, or read from its layout or the engine's export."""

from launcher.engines.engine import Engine
from launcher.environment.packages import Inventory
from launcher.inventory.kept import Contents, contents_of, exported_inventory, layout_inventory
from launcher.runs.events import EventLog
from launcher.runs.tasks import RunPlan
from launcher.store.cache import Cache


def image_contents(engine: Engine, plan: RunPlan, cache: Cache, log: EventLog) -> Contents:
    """Return the bill of materials and the facts of the attempt's image; what could not be read it says.

    Only the first run of an image reads its layers, beside the container, so it seldom takes time of its own.
    """
    found, shown = plan.resolution.image, []

    def read() -> Inventory:
        shown.append("reading what the image contains, while the evaluation runs")
        log.reporter.stage(shown[0])
        if found.layout is not None:
            return layout_inventory(found.layout, found.pins)
        with engine.export_image(plan.image) as chunks:
            return exported_inventory(chunks, found.pins)

    with log.step("inventory") as detail:
        contents = contents_of(found.pins, cache, read)
        if contents.unread:
            detail["unread"] = contents.unread
    if contents.unread:
        log.reporter.stage(f"what the image contains is not known: {contents.unread}")
    if shown:
        log.reporter.stage("waiting for the evaluation to end")
    return contents
