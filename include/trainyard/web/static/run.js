"use strict";
// A run that has ended while somebody looked has a reason, buttons and results that its page did not have.
document.getElementById("live").addEventListener("over", () => window.location.reload());
