"use strict";
for (const map of document.querySelectorAll(".map")) {
  const svg = map.querySelector("svg"), said = map.querySelector("output"), points = [...svg.querySelectorAll("circle")];
  const { clips, sounds } = JSON.parse(map.querySelector("script").textContent), audio = new Audio();
  const order = points.map((_, index) => index).sort((a, b) => points[a].cx.baseVal.value - points[b].cx.baseVal.value);
  let shown = -1;
  const show = (index) => {
    if (shown >= 0) points[shown].classList.remove("on");
    points[shown = index].classList.add("on");
    const [name, labels, fold, doubt] = clips[index];
    said.textContent = `${name}: ${labels || "no label"}; fold ${fold}${doubt ? `; doubted: ${doubt}` : ""}`;
  };
  const play = (index) => {
    show(index);
    const name = clips[index][0], own = [...document.querySelectorAll("audio")].find((one) => one.dataset.clip === name);
    audio.src = own ? own.src : sounds[name] || "";
    if (own || sounds[name]) audio.play();
    else said.textContent += ". Its sound is not in this file.";
  };
  const index = (event) => points.indexOf(event.target);
  svg.addEventListener("pointerover", (event) => { if (index(event) >= 0) show(index(event)); });
  svg.addEventListener("click", (event) => { if (index(event) >= 0) play(index(event)); });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) show(order[(order.indexOf(shown) + step + order.length) % order.length]);
    else if (event.key === "Enter" && shown >= 0) play(shown);
    else return;
    event.preventDefault();
  });
  map.addEventListener("change", (event) => {
    svg.dataset.by = event.target.value;
    for (const keys of map.querySelectorAll(".keys")) keys.hidden = keys.dataset.by !== event.target.value;
  });
}
addEventListener("hashchange", () => document.querySelector(`${location.hash || "nothing"} > details`)?.setAttribute("open", ""));
