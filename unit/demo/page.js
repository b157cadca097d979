// Run once by whoever opens a page, with its language, the path of the Chinese one, and what it says for what Gradio
// says in English on any page. Gives what a link asks for.
(language, chinese, said) => {
    // Screen readers are told the language, and the choice of it is remembered. A first visit that wants Chinese and
    // gets English is sent on; who comes back from there is not. The links to the other language keep the settings.
    document.documentElement.lang = language;
    let first;
    try {
        first = !localStorage.getItem("unit-language");
        localStorage.setItem("unit-language", language);
    } catch { // a browser that keeps nothing for a page in a frame, as a Space is, or for any
        first = !document.referrer.startsWith(location.origin);
    }
    if (first && language === "en" && /^zh-(TW|HK|MO|Hant)/i.test(window.visitorsLanguage ?? navigator.language))
        location.replace(location.pathname.replace(/\/$/, "") + "/" + chinese + location.search);
    for (const link of document.querySelectorAll("nav a, .nav-holder a"))
        if (link.origin === location.origin) link.search = location.search;

    const say = node => {
        if (node.nodeType === Node.TEXT_NODE && said[node.data.trim()]) node.data = said[node.data.trim()];
        for (const name of ["aria-label", "title"])
            if (said[node.getAttribute?.(name)]) node.setAttribute(name, said[node.getAttribute(name)]);
        node.childNodes.forEach(say);
    };
    if (language !== "en") {
        say(document.body);
        new MutationObserver(changes => changes.forEach(change => change.addedNodes.forEach(say)))
            .observe(document.body, {childList: true, subtree: true});
    }

    // A photo dropped on a photo: Gradio clears the old one first, and by then the browser has taken the new one back.
    document.addEventListener("drop", event => {
        const box = event.target.closest("#photo, #photo_2");
        const input = box?.querySelector("input[type=file]");
        if (!input || !box.querySelector("img") || !event.dataTransfer.files.length) return;
        event.preventDefault();
        event.stopPropagation();
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change", {bubbles: true}));
    }, true);

    return location.search || "?";
}
