// Run by Gradio, after square.js, for each face box on a page. As in before_after.js, nothing of a value ever goes
// through a template, and all events are heard on `element`, whatever is in it.
const part = name => element.querySelector("." + name);
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const GROWTH = {"+": 2, "=": 2, "-": -2, "_": -2}; // percent, as is a step of an arrow key, which is 1
const STILL = 4, PAUSE = 500; // pixels that a finger may move while it taps; ms without a key until a result is asked for
let size = null, square = null, held = null, dragged = false, pause = 0, turn = 0;

// What of the square lies in the photo is marked.
function draw(to) {
    square = to;
    const left = Math.max(0, to.left), top = Math.max(0, to.top), style = part("stage").style;
    style.setProperty("--left", 100 * left / size.width);
    style.setProperty("--top", 100 * top / size.height);
    style.setProperty("--wide", 100 * (Math.min(size.width, to.left + to.side) - left) / size.width);
    style.setProperty("--high", 100 * (Math.min(size.height, to.top + to.side) - top) / size.height);
}

function same(one, other) {
    return ["across", "down", "side"].every(name => one[name] === other[name]);
}

function place(face) {
    draw(squareOf(face, size));
    for (const button of element.querySelectorAll(".faces button"))
        button.hidden = same(face, props.value.faces[button.dataset.number]);
}

// The square has come to rest: the page is told where, which asks for another result.
function ask(face = faceOf(square, size)) {
    clearTimeout(pause);
    const changed = !same(face, props.value.face);
    if (changed) props.value = {...props.value, face};
    place(face);
    if (!changed) return;
    const filled = (text, name) => text.replace(`{${name}}`, face[name]);
    part("told").textContent = Object.keys(face).reduce(filled, part("told").dataset.says);
    trigger("input");
}

async function show() {
    const value = props.value || {}, mine = ++turn, photo = part("photo");
    held = null;
    clearTimeout(pause);
    const image = Object.assign(new Image(), {src: value.photo?.url ?? ""});
    const whole = value.photo && await image.decode().then(() => true, () => false);
    if (mine !== turn) return; // another came meanwhile
    part("frame").toggleAttribute("data-has", Boolean(whole));
    if (!whole) return photo.removeAttribute("src");
    size = {width: image.naturalWidth, height: image.naturalHeight};
    photo.src = value.photo.url;
    photo.alt = value.alt;
    part("stage").style.setProperty("--w", size.width);
    part("stage").style.setProperty("--h", size.height);
    part("faces").replaceChildren(...value.faces.map(button));
    place(value.face);
}

function button(face, number) {
    const made = document.createElement("button"), {left, top, side} = squareOf(face, size);
    made.type = "button";
    made.dataset.number = number;
    made.title = part("faces").dataset.says.replace("{number}", number + 1);
    made.setAttribute("aria-label", made.title);
    Object.assign(made.style, {
        left: `${100 * left / size.width}%`, top: `${100 * top / size.height}%`,
        width: `${100 * side / size.width}%`, height: `${100 * side / size.height}%`,
    });
    return made;
}

function focusSquare() {
    part("square").focus({preventScroll: true, focusVisible: false});
}

// Where a pointer is, in pixels of the photo.
function point(event) {
    const {left, top, width} = part("stage").getBoundingClientRect(), scale = size.width / width;
    return {x: (event.clientX - left) * scale, y: (event.clientY - top) * scale};
}

// A face that is tapped is taken as it was found; elsewhere in the photo the square comes to where it is tapped.
function tap(at) {
    const found = props.value.faces.find(face => holds(squareOf(face, size), at) && !same(face, props.value.face));
    if (found) return ask(found);
    if (holds(square, at)) return ask(); // which keys may have moved a moment ago
    draw(moved(square, at.x - square.left - square.side / 2, at.y - square.top - square.side / 2, size));
    ask();
}

element.addEventListener("pointerdown", event => {
    dragged = false;
    if (!event.target.closest(".square") || event.button || !event.isPrimary) return;
    event.preventDefault(); // no text is marked
    clearTimeout(pause);
    const knob = event.target.closest(".corner"), from = point(event);
    held = {id: event.pointerId, from, x: event.clientX, y: event.clientY, square, moves: false};
    if (knob) {
        const corner = {x: Number(knob.dataset.x), y: Number(knob.dataset.y)};
        const seen = (start, along, length) => within(along > 0 ? start + square.side : start, 0, length);
        const [x, y] = [seen(square.left, corner.x, size.width), seen(square.top, corner.y, size.height)];
        Object.assign(held, {corner, off: {x: x - from.x, y: y - from.y}}); // it is seldom hit in its middle
    }
    part("square").setPointerCapture(event.pointerId);
    focusSquare();
});
element.addEventListener("pointermove", event => {
    if (held?.id !== event.pointerId) return;
    held.moves ||= Math.hypot(event.clientX - held.x, event.clientY - held.y) > STILL;
    if (!held.moves) return;
    const {x, y} = point(event), {from, off, corner} = held;
    draw(corner ? resized(held.square, corner, {x: x + off.x, y: y + off.y}, size)
                : moved(held.square, x - from.x, y - from.y, size));
});
element.addEventListener("pointerup", event => {
    if (held?.id !== event.pointerId) return;
    const {moves, corner} = held;
    held = null;
    dragged = moves; // some browsers send a click after this
    if (moves) ask();
    else if (!corner) tap(point(event));
});
element.addEventListener("pointercancel", event => {
    if (held?.id !== event.pointerId) return;
    draw(held.square);
    held = null;
    ask();
});
element.addEventListener("click", event => {
    const chosen = event.target.closest(".faces button");
    if (chosen) ask(props.value.faces[chosen.dataset.number]);
    else if (dragged || event.target.closest(".square") || !event.target.closest(".stage")) return;
    else tap(point(event));
    focusSquare(); // the button that was pressed is hidden now
});

element.addEventListener("keydown", event => {
    if (!event.target.closest(".square") || held || event.ctrlKey || event.altKey || event.metaKey) return;
    const [right, down] = ARROWS[event.key] ?? [0, 0];
    const growth = GROWTH[event.key] ?? (event.shiftKey ? 2 * (right - down) : 0);
    if (!growth && !right && !down) return;
    event.preventDefault(); // the page stays where it is
    const to = growth ? grown(square, growth / 100 * shorter(size), size)
                      : moved(square, right * size.width / 100, down * size.height / 100, size);
    place(faceOf(to, size));
    clearTimeout(pause);
    pause = setTimeout(ask, PAUSE);
});

watch("value", show);
show();
