// The buttons that copy a command.

/** Makes each button with the class "copy" copy the code before it. */
function listenForCopies() {
  for (const button of document.querySelectorAll("button.copy")) {
    const code = button.parentElement.querySelector("code");
    const status = make("span", { role: "status", class: "copied" });
    button.after(status);
    button.addEventListener("click", async () => {
      setText(status, "");
      setText(status, (await copy(code)) ? "Copied" : "Selected: copy it with your browser's key");
    });
  }
}

/** Copies the text of an element, or else selects it; whether it is copied. */
async function copy(element) {
  // Some browsers have no clipboard for a page that is a file, others refuse it.
  const isWritten = navigator.clipboard
    ? await navigator.clipboard.writeText(element.textContent).then(() => true, () => false)
    : false;
  if (isWritten) return true;
  getSelection().selectAllChildren(element);
  return document.execCommand("copy");
}
