/** Elements in few words. No HTML text is ever parsed, so nothing in a share can become markup. */

type Attributes = Record<string, string | number | boolean | ((event: never) => void)>;
type Child = Node | string;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** A decorative icon; style.css gives each name its file. */
export function icon(name: string): HTMLElement {
  return h("span", { class: `icon icon-${name}`, "aria-hidden": "true" });
}

export function show(root: HTMLElement, ...children: Child[]): void {
  root.replaceChildren(...children);
}
