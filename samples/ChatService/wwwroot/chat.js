"use strict";

const byId = id => document.getElementById(id);
const [conversation, form, question, send, stop] = ["conversation", "form", "question", "send", "stop"].map(byId);
let model = "", messages = [], answering = null;

fetch("v1/models").then(response => response.json()).then(list => {
    model = list.data[0].id;
    byId("model").textContent = model;
    document.title = model;
});

// Text, never HTML: whatever the model writes is shown as it is.
function show(kind, text) {
    const article = document.createElement("article");
    article.className = kind;
    article.textContent = text;
    conversation.append(article);
    article.scrollIntoView({ block: "end" });
    return article;
}

function note(article, text) {
    const small = document.createElement("small");
    small.textContent = text;
    article.append(small);
    article.scrollIntoView({ block: "end" });
}

function request(messages) {
    const system = byId("system").value.trim();
    return {
        model,
        messages: system ? [{ role: "system", content: system }, ...messages] : messages,
        temperature: Number(byId("temperature").value),
        max_tokens: Number(byId("tokens").value),
        stream: true,
        stream_options: { include_usage: true },
    };
}

async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { value, done } = await reader.read();
        if (done) {
            return;
        }
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        for (const part of parts) {
            if (part !== "data: [DONE]") {
                yield JSON.parse(part.slice("data: ".length));
            }
        }
    }
}

async function ask(text) {
    // A new chat begins another list, and this answer is no part of it.
    const mine = messages;
    mine.push({ role: "user", content: text });
    show("user", text);
    const article = show("assistant", "");
    answering = new AbortController();
    send.disabled = true;
    stop.hidden = false;
    const begun = performance.now();
    let answer = "", usage = null, ended = "";
    try {
        const response = await fetch("v1/chat/completions", {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(request(mine)),
            signal: answering.signal,
        });
        if (!response.ok) {
            throw new Error((await response.json()).error.message);
        }
        for await (const chunk of events(response)) {
            usage = chunk.usage ?? usage;
            ended = chunk.choices?.[0]?.finish_reason ?? ended;
            answer += chunk.choices?.[0]?.delta?.content ?? "";
            article.textContent = answer;
            article.scrollIntoView({ block: "end" });
        }
        const seconds = (performance.now() - begun) / 1000;
        note(article, (usage ? `${usage.completion_tokens} tokens, ${(usage.completion_tokens / seconds).toFixed(0)} a second` : "")
            + (ended === "length" ? "; cut at the most tokens" : ""));
        mine.push({ role: "assistant", content: answer });
    } catch (error) {
        if (error.name === "AbortError") {
            note(article, "stopped");
            mine.push({ role: "assistant", content: answer });
        } else {
            // The question was not answered, and is no part of the conversation.
            mine.pop();
            article.remove();
            show("error", error.message);
        }
    } finally {
        answering = null;
        send.disabled = false;
        stop.hidden = true;
        article.dataset.done = "true";
        question.focus();
    }
}

form.addEventListener("submit", event => {
    event.preventDefault();
    const text = question.value.trim();
    if (text && !answering) {
        question.value = "";
        ask(text);
    }
});
question.addEventListener("keydown", event => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
    }
});
stop.addEventListener("click", () => answering?.abort());
byId("clear").addEventListener("click", () => {
    answering?.abort();
    messages = [];
    conversation.replaceChildren();
    question.focus();
});
