// The buttons and switches above the lanes.

class Controls {
  /**
   * @param {{move: function(string): void, set: function(string, boolean): void}} actions
   * @param {{key: string, text: string, isOn: boolean}[]} switches
   */
  constructor(actions, switches) {
    this.buttons = {};
    const group = make("div", { class: "moves", role: "group", "aria-label": "Move the cursor" });
    for (const [way, text] of Object.entries({ first: "First", previous: "Previous", next: "Next", last: "Last" })) {
      this.buttons[way] = make("button", { type: "button", click: () => actions.move(way) }, text);
      group.append(this.buttons[way]);
    }
    this.position = make("span", { class: "position" });
    this.boxes = {};
    const options = make("div", { class: "switches", role: "group", "aria-label": "What is shown" });
    for (const { key, text, isOn } of switches) {
      this.boxes[key] = make("input", { type: "checkbox", change: (event) => actions.set(key, event.target.checked) });
      this.boxes[key].checked = isOn;
      options.append(make("label", {}, this.boxes[key], text));
    }
    this.element = make("div", { class: "controls" }, make("h3", {}, "Steps"), group, this.position, options);
  }

  /** Shows the place of the cursor, and which buttons lead nowhere. */
  show({ text, isFirst, isLast }) {
    setText(this.position, text);
    // A button with the focus would lose it when it is disabled, so it says that it is.
    for (const [way, isEnd] of Object.entries({ first: isFirst, previous: isFirst, next: isLast, last: isLast })) {
      this.buttons[way].setAttribute("aria-disabled", String(isEnd));
    }
  }
}
