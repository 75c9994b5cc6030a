// The one script that isn't a module: it runs before the first paint, so that a chosen theme doesn't flash.
(() => {
  const chosen = localStorage.getItem("qpty.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
