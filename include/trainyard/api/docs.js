"use strict";
const docs = document.getElementById("docs");
if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    url: docs.dataset.document,
    domNode: docs,
    deepLinking: true,
    // A document that names another machine's address must not lead the page there.
    queryConfigEnabled: false,
    validatorUrl: null,
  });
}
