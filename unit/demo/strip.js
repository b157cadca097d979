// Run by Gradio for each strip on a page. As in before_after.js, nothing of a value ever goes through a template.
const row = element.querySelector(".row");

function show() {
    const value = props.value || {items: []};
    const numbers = value.items.map(item => String(item.number));
    for (const button of row.querySelectorAll("button"))
        if (!numbers.includes(button.dataset.number)) button.parentNode.remove();
    for (const item of value.items) {
        const button = row.querySelector(`button[data-number="${Number(item.number)}"]`) ?? made(item);
        row.append(button.parentNode); // in the order of the value
        button.setAttribute("aria-current", item.number === value.current);
    }
}

function made(item) {
    const button = document.createElement("button"), image = new Image();
    button.type = "button";
    button.dataset.number = item.number;
    image.addEventListener("error", () => button.parentNode?.remove()); // its file has been cleared away
    image.alt = button.title = item.name;
    image.src = item.picture.url;
    button.append(image);
    document.createElement("li").append(button);
    return button;
}

element.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (button) trigger("select", {index: Number(button.dataset.number), value: button.title});
});

watch("value", show);
show();
