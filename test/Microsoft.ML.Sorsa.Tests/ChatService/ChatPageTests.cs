using PuppeteerSharp;
using PuppeteerSharp.Input;

namespace Microsoft.ML.Sorsa.Tests.ChatService;

/// <summary>The sample's page in a real browser.</summary>
[TestClass]
[TestCategory("Chat")]
[TestCategory("Samples")]
public sealed class ChatPageTests
{
    /// <summary>Where Linux, then Windows and macOS have it.</summary>
    private static readonly string[] s_browsers =
    [
        "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome",
        @"C:\Program Files\Google\Chrome\Application\chrome.exe", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];

    [TestMethod]
    public async Task APersonAsksStopsAndBeginsAnew()
    {
        using var service = new ServiceProcess();
        await using IBrowser browser = await Launch();
        await using IPage page = await browser.NewPageAsync();
        var complaints = new List<string>();
        page.Console += (_, e) => complaints.Add(e.Message.Text);
        page.PageError += (_, e) => complaints.Add(e.Message);
        await page.GoToAsync(service.Address);
        await page.WaitForFunctionAsync("() => document.getElementById('model').textContent === 'tiny-llama-math'");

        // Enter sends, and the answer grows to its end, with the tokens below it.
        await Ask(page, "Mia has 12 apples. She buys 5 more.", answers: 1);
        string first = await Text(page, "article.assistant");
        Assert.StartsWith(" How many apples is that in total?\n12 + 5 = 17.", first);
        Assert.MatchesRegex(@"\d+ tokens, \d+ a second", first);

        // What is written is text, and is never run.
        await Ask(page, "<img src=x onerror=document.title='run'> has 3 apples.", answers: 2);
        Assert.AreEqual("tiny-llama-math", await page.GetTitleAsync());
        Assert.AreEqual(0, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('main img').length"));
        Assert.AreEqual("4 messages", await page.EvaluateExpressionAsync<string>("`${messages.length} messages`"));

        // The service's own words where it refuses, and the question is no part of the conversation.
        await page.EvaluateExpressionAsync("document.getElementById('temperature').value = '-1'");
        await Ask(page, "And now?", answers: 3);
        Assert.Contains("Temperature is -1", await Text(page, "article.error"));
        Assert.AreEqual("4 messages", await page.EvaluateExpressionAsync<string>("`${messages.length} messages`"));

        await page.ClickAsync("#clear");
        Assert.AreEqual(0, await page.EvaluateExpressionAsync<int>("document.querySelectorAll('article').length"));

        // The browser says that of every refusal.
        complaints.RemoveAll(complaint => complaint.Contains("400 (Bad Request)", StringComparison.Ordinal));
        Assert.IsEmpty(complaints, string.Join('\n', complaints));
    }

    /// <summary>The answer that was under way is no part of the new chat, whatever of it still comes.</summary>
    [TestMethod]
    public async Task ANewChatDuringAnAnswerIsEmpty()
    {
        using var service = new ServiceProcess();
        await using IBrowser browser = await Launch();
        await using IPage page = await browser.NewPageAsync();
        await page.GoToAsync(service.Address);
        await page.WaitForFunctionAsync("() => document.getElementById('model').textContent === 'tiny-llama-math'");
        await page.TypeAsync("#question", "Mia has 12 apples. She buys 5 more.", new TypeOptions());

        await page.EvaluateExpressionAsync("form.requestSubmit(); document.getElementById('clear').click();");
        await page.WaitForFunctionAsync("() => answering === null");

        Assert.AreEqual("[]", await page.EvaluateExpressionAsync<string>("JSON.stringify(messages)"));
        await Ask(page, "Tom has 3 marbles. He finds 4 more.", answers: 1);
        Assert.AreEqual("user assistant", await page.EvaluateExpressionAsync<string>("messages.map(message => message.role).join(' ')"));
    }

    /// <summary>At the width of a telephone nothing is wider than the page.</summary>
    [TestMethod]
    [DataRow(400)]
    [DataRow(1200)]
    public async Task ThePageFits(int width)
    {
        using var service = new ServiceProcess();
        await using IBrowser browser = await Launch();
        await using IPage page = await browser.NewPageAsync();
        await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = 800 });
        await page.GoToAsync(service.Address);
        await Ask(page, $"{new string('x', 300)} Mia has 12 apples. She buys 5 more.", answers: 1);

        Assert.IsLessThanOrEqualTo(width, await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"));
    }

    private static async Task Ask(IPage page, string text, int answers)
    {
        await page.TypeAsync("#question", text, new TypeOptions());
        await page.Keyboard.PressAsync(Key.Enter);
        await page.WaitForFunctionAsync(
            "count => document.querySelectorAll('article.assistant[data-done], article.error').length === count", answers);
    }

    private static Task<string> Text(IPage page, string selector) =>
        page.EvaluateExpressionAsync<string>($"document.querySelector('{selector}').innerText");

    private static Task<IBrowser> Launch()
    {
        string? browser = Array.Find(s_browsers, File.Exists);
        if (browser is null)
        {
            Assert.Inconclusive("There is no Chromium on this machine.");
        }

        // Its sandbox does not start for root, as which containers run.
        return Puppeteer.LaunchAsync(new LaunchOptions { ExecutablePath = browser, Headless = true, Args = ["--no-sandbox"] });
    }
}
