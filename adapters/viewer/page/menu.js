// Small menus beside a button.

/**
 * Open a menu below an element; it goes with the next press anywhere else, or with Escape.
 * @param {HTMLElement} anchor
 * @param {string} kind class of the menu
 * @param {HTMLElement[]} items
 */
export function openMenu(anchor, kind, items) {
  document.querySelector(".menu")?.remove();
  const menu = document.createElement("div");
  menu.className = `menu ${kind}`;
  menu.append(...items);
  document.body.append(menu);
  items[0].focus();
  const box = anchor.getBoundingClientRect();
  menu.style.top = `${box.bottom + 6}px`;
  menu.style.left = `${Math.min(box.left, innerWidth - menu.offsetWidth - 8)}px`;
  const leave = new AbortController();
  const close = () => { menu.remove(); leave.abort(); };
  menu.addEventListener("click", close);
  setTimeout(() => addEventListener("pointerdown", (event) => menu.contains(event.target) || close(), { signal: leave.signal }));
  addEventListener("keydown", (event) => event.key === "Escape" && close(), { signal: leave.signal });
}
