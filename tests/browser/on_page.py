"""What a reader finds on the page, by what it says and not by how it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Locator, Page

# The failures, in the order of the page.
RACE, LOST, LONG, PLAIN, STUCK = 1, 2, 3, 4, 5


def failure(page: Page, number: int) -> Locator:
    """The part of the page about a failure."""
    return page.locator(f"#failure-{number}")


def steps(page: Page, number: int, label: str = "Steps: ") -> Locator:
    """The list of the steps of a failure."""
    return failure(page, number).locator(f'[role=listbox][aria-label^="{label}"]')


def at_cursor(page: Page, number: int) -> str:
    """The title of the step at the cursor."""
    title: str = failure(page, number).locator(".step-panel h4").inner_text()
    return title


def active_step(listbox: Locator) -> str:
    """What a screen reader says of the step at the cursor; empty without one in this list."""
    said: str = listbox.evaluate(
        """list => {
            const step = document.getElementById(list.getAttribute("aria-activedescendant"));
            return step && list.contains(step) && step.ariaSelected === "true" ? step.ariaLabel : "";
        }"""
    )
    return said


def switch(page: Page, number: int, text: str) -> Locator:
    """A switch above the lanes."""
    return failure(page, number).get_by_label(text)


def block(page: Page, number: int, step: str, name: str = "") -> Locator:
    """The block of a step: "7", or "7.1" for the first event after it."""
    return page.locator(f"[id='failure-{number}{name}-step-{step}']")


def box_of(element: Locator) -> FloatRect:
    """Where an element is in the window; it has to be there."""
    box = element.bounding_box()
    assert box is not None
    return box


def attribute(element: Locator, name: str) -> str:
    """An attribute of an element, which it has to have."""
    value: str | None = element.get_attribute(name)
    assert value is not None
    return value
