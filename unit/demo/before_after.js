// Run by Gradio for each slider on a page, with its `element` and `props`. What is drawn is set from here and never by
// Gradio's template, into which a value would go as code; and all events are heard on `element`, whatever is in it.
const part = name => element.querySelector("." + name);
const STEPS = {ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, PageDown: -20, PageUp: 20, Home: -100, End: 100};
let at = 50, turn = 0, held = null;

// How far from the left the handle is, in percent: as much of the picture is the one before.
function move(to) {
    at = Math.min(100, Math.max(0, to));
    part("stage").style.setProperty("--at", at);
    const handle = part("handle"), shown = Math.round(at);
    handle.setAttribute("aria-valuenow", shown);
    handle.setAttribute("aria-valuetext", handle.dataset.says.replace("{before}", shown).replace("{after}", 100 - shown));
}

function moveTo(event) {
    const {left, width} = part("stage").getBoundingClientRect();
    move(100 * (event.clientX - left) / width);
}

// Both pictures are loaded before either is shown, so that no two that do not belong together are seen side by side.
async function show() {
    const value = props.value || {}, mine = ++turn, frame = part("frame");
    if (!value.before && value.busy) return frame.setAttribute("aria-busy", true); // what is there stays
    const shown = [value.before, value.after].filter(Boolean).map(file => Object.assign(new Image(), {src: file.url}));
    frame.setAttribute("aria-busy", shown.length > 0);
    const whole = await Promise.all(shown.map(image => image.decode().then(() => true, () => false)));
    if (mine !== turn) return; // another came meanwhile
    const gone = whole.includes(false);
    part("said").textContent = gone ? part("said").dataset.gone : part("said").dataset.empty;
    frame.setAttribute("aria-busy", Boolean(value.busy));
    if (gone || !shown.length) return frame.removeAttribute("data-has");
    if (value.at != null && part("before").src !== shown[0].src) move(value.at); // to what has changed, a face
    for (const name of ["before", "after"]) {
        part(name).src = value[name]?.url ?? "";
        part(name).alt = value[name + "_alt"] ?? "";
        part("of-" + name).textContent = value[name + "_name"] || part("of-" + name).dataset.plain;
    }
    if (!value.after) part("after").removeAttribute("src");
    frame.removeAttribute("data-has"); // to a browser that measures, it is new afterwards, and has not moved
    part("stage").style.setProperty("--w", shown[0].naturalWidth);
    part("stage").style.setProperty("--h", shown[0].naturalHeight);
    void part("stage").offsetWidth;
    frame.dataset.has = value.after ? "both" : "photo";
}

element.addEventListener("keydown", event => {
    if (event.key === "Escape") fill(false);
    if (!(event.key in STEPS) || !event.target.closest(".handle") || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // the page stays where it is
    move(at + STEPS[event.key]);
});

// A mouse takes the handle at once. A finger may be about to scroll the page, so it has to go sideways first, or tap.
element.addEventListener("pointerdown", event => {
    if (!event.target.closest(".stage") || event.button || !event.isPrimary || part("frame").dataset.has !== "both") return;
    held = {id: event.pointerId, x: event.clientX, y: event.clientY, moves: event.pointerType === "mouse"};
    if (!held.moves) return;
    part("stage").setPointerCapture(event.pointerId);
    event.preventDefault(); // no text is marked
    part("handle").focus({preventScroll: true, focusVisible: false});
    moveTo(event);
});
element.addEventListener("pointermove", event => {
    if (held?.id !== event.pointerId) return;
    const across = Math.abs(event.clientX - held.x), down = Math.abs(event.clientY - held.y);
    held.moves ||= across > 6 && across > down;
    if (held.moves) moveTo(event);
});
element.addEventListener("pointerup", event => {
    if (held?.id === event.pointerId && !held.moves) moveTo(event);
    if (held?.id === event.pointerId) held = null;
});
element.addEventListener("pointercancel", () => held = null); // the page scrolls

// A phone's browser, or a frame around the page, may not allow the whole screen: then the slider fills the page.
function fill(whole) {
    part("frame").classList.toggle("filled", whole);
    pressed(whole);
}
function pressed(whole) {
    part("full").setAttribute("aria-pressed", whole);
}
element.addEventListener("click", async event => {
    if (!event.target.closest(".full")) return;
    const frame = part("frame");
    if (document.fullscreenElement) return document.exitFullscreen();
    if (frame.classList.contains("filled")) return fill(false);
    try {
        await frame.requestFullscreen();
    } catch {
        fill(true);
    }
});
element.addEventListener("fullscreenchange", () => pressed(Boolean(document.fullscreenElement)));

watch("value", show);
move(at);
show();
