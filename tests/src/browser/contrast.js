// Texts that stand out too little from what is behind them: less than 4.5 to 1, as WCAG 2 measures it.
(() => {
  const least = 4.5;
  const parse = (written) => {
    const numbers = /^rgba?\(([^)]*)\)$/.exec(written);
    if (!numbers) {
      throw new Error(`a color that is not understood: ${written}`);
    }
    const [red, green, blue, alpha = 1] = numbers[1].split(/[ ,/]+/).map(Number);
    return [red, green, blue, alpha];
  };
  const over = (front, back) => front.slice(0, 3).map((part, index) => part * front[3] + back[index] * (1 - front[3]));
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  const behind = (element) =>
    element ? over(parse(getComputedStyle(element).backgroundColor), behind(element.parentElement)) : canvas;
  const luminance = (color) => {
    const [red, green, blue] = color
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  let looked = 0;
  const look = (element, text, pseudo) => {
    looked += 1;
    const style = getComputedStyle(element, pseudo);
    const back = behind(element);
    const color = over(parse(style.color), back);
    const measured = ratio(color, back);
    if (!(measured >= least) || style.opacity !== "1") {
      found.push(`${measured.toFixed(2)}: ${element.tagName}${pseudo ?? ""} ${JSON.stringify(text)} ${style.color} on ${back}`);
    }
  };
  for (const element of document.querySelectorAll("body, body *")) {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) {
      continue;
    }
    for (const node of element.childNodes) {
      if (node.nodeType === Node.TEXT_NODE && node.data.trim()) {
        look(element, node.data.trim());
      }
    }
    for (const pseudo of ["::before", "::after"]) {
      if (getComputedStyle(element, pseudo).content !== "none") {
        look(element, getComputedStyle(element, pseudo).content, pseudo);
      }
    }
    if (element.matches("input:not([type=hidden]), select, textarea")) {
      look(element, element.value);
    }
    if (element.placeholder) {
      look(element, element.placeholder, "::placeholder");
    }
  }
  return looked ? found : ["there is no text at all"];
})();
