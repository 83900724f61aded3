using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Who is decoded when, over a model of which every step is seen.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ContinuousBatchingTests
{
    private const int Said = 70;

    private static readonly TextTokenizer s_tokenizer = TextTokenizer.Load(TestData.TinyLlama);
    private static readonly int s_letters = s_tokenizer.Decode([Said], skipSpecialTokens: true).Length;
    private static readonly TimeSpan s_most = TimeSpan.FromMinutes(1);

    [TestMethod]
    public async Task ABatchIsBoundedAndFirstComeFirstAdmitted()
    {
        var steps = new List<int[]>();
        Bench bench = new(steps.Add, batchSize: 3);
        Task<string>[] texts = [.. Enumerable.Range(1, 7).Select(prompt => bench.Start(prompt, tokens: 3 + prompt))];

        bench.Go();
        await Task.WhenAll(texts).WaitAsync(s_most);

        Assert.AreEqual("1 2 3 4 5 6 7", string.Join(' ', bench.Model.Read));
        Assert.IsTrue(steps.All(rows => rows.Length <= 3));
        Assert.IsTrue(steps.Any(rows => rows.Length == 3));

        // A row leaves with its last token, and the next one takes its place before the next step.
        Assert.AreEqual("2 3 4", string.Join(' ', steps.First(rows => !rows.Contains(1))));
        bench.Dispose();
    }

    [TestMethod]
    public async Task ARequestJoinsThoseUnderWay()
    {
        using var first = new ManualResetEventSlim();
        var steps = new List<int[]>();
        Task<string>? second = null;
        Bench bench = null!;
        bench = new Bench(rows =>
        {
            steps.Add(rows);
            if (steps.Count == 2)
            {
                second = bench.Start(2, tokens: 4);
                first.Set();
            }
        }, batchSize: 8);

        Task<string> one = bench.Start(1, tokens: 20);
        bench.Go();
        first.Wait(s_most);
        await Task.WhenAll(one, second!).WaitAsync(s_most);

        Assert.Contains(rows => rows.SequenceEqual([1, 2]), steps);
        Assert.AreEqual(19, steps.Count(rows => rows.Contains(1)));
        Assert.AreEqual(3, steps.Count(rows => rows.Contains(2)));
        bench.Dispose();
    }

    [TestMethod]
    public async Task WhoIsCancelledLeavesBetweenTwoTokensAndTheOthersStay()
    {
        using var cancel = new CancellationTokenSource();
        var steps = new List<int[]>();
        Bench bench = new(rows =>
        {
            steps.Add(rows);
            if (steps.Count == 3)
            {
                cancel.Cancel();
            }
        }, batchSize: 2);
        Task<string> cancelled = bench.Start(1, 1000, cancel.Token), other = bench.Start(2, 50), waiting = bench.Start(3, 5);
        bench.Go();

        await Assert.ThrowsAsync<OperationCanceledException>(() => cancelled.WaitAsync(s_most));
        await Task.WhenAll(other, waiting).WaitAsync(s_most);

        Assert.AreEqual(3, steps.Count(rows => rows.Contains(1)));
        Assert.AreEqual(50, (await other).Length / s_letters);
        Assert.AreEqual("2 3", string.Join(' ', steps[3]));
        bench.Dispose();
    }

    [TestMethod]
    public async Task WhoIsCancelledWhileWaitingIsNeverRead()
    {
        using var cancel = new CancellationTokenSource();
        Bench bench = new(_ => { }, batchSize: 1);
        Task<string> first = bench.Start(1, 300), waiting = bench.Start(2, 5, cancel.Token), last = bench.Start(3, 5);
        await cancel.CancelAsync();
        bench.Go();

        await Assert.ThrowsAsync<OperationCanceledException>(() => waiting.WaitAsync(s_most));
        await Task.WhenAll(first, last).WaitAsync(s_most);

        Assert.DoesNotContain(2, bench.Model.Read);
        bench.Dispose();
    }

    /// <summary>A reader that stops in the middle is one more way to cancel.</summary>
    [TestMethod]
    public async Task WhoStopsReadingLeaves()
    {
        var steps = new List<int[]>();
        Bench bench = new(steps.Add, batchSize: 2);
        bench.Go();
        await foreach (string _ in bench.Pieces(1, 5000))
        {
            break;
        }

        Task<string> other = bench.Start(2, 3);
        await other.WaitAsync(s_most);

        bench.Dispose();
        Assert.IsLessThan(4999, steps.Count(rows => rows.Contains(1)));
    }

    [TestMethod]
    public async Task AnErrorOfAStepReachesEveryoneInItAndTheOthersGoOn()
    {
        int steps = 0;
        Bench bench = new(_ =>
        {
            if (++steps == 4)
            {
                throw new InvalidDataException("A step failed.");
            }
        }, batchSize: 2);
        Task<string>[] texts = [bench.Start(1, 100), bench.Start(2, 100), bench.Start(3, 5)];
        bench.Go();

        foreach (Task<string> text in texts[..2])
        {
            Assert.AreEqual(
                "A step failed.", (await Assert.ThrowsExactlyAsync<InvalidDataException>(() => text.WaitAsync(s_most))).Message);
        }

        Assert.AreEqual(5, (await texts[2].WaitAsync(s_most)).Length / s_letters);
        bench.Dispose();
    }

    [TestMethod]
    public async Task ARowThatCannotBeContinuedFailsAlone()
    {
        Bench bench = new(_ => { }, batchSize: 3, broken: 2);
        Task<string>[] texts = [bench.Start(1, 9), bench.Start(2, 9), bench.Start(3, 9)];
        bench.Go();

        Assert.Contains(
            "not finite", (await Assert.ThrowsExactlyAsync<InvalidDataException>(() => texts[1].WaitAsync(s_most))).Message);
        Assert.AreEqual(await texts[0].WaitAsync(s_most), await texts[2].WaitAsync(s_most));
        bench.Dispose();
    }

    /// <summary>An error outside of every step, as of whoever hands out turns: nobody waits for ever.</summary>
    [TestMethod]
    public async Task AModelThatIsGoneIsAnErrorForAll()
    {
        Bench bench = new(_ => { }, batchSize: 1, take: (_, _) => throw new ObjectDisposedException("model"));
        Task<string>[] texts = [bench.Start(1, 9), bench.Start(2, 9), bench.Start(3, 9)];
        bench.Go();

        foreach (Task<string> text in texts)
        {
            await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => text.WaitAsync(s_most));
        }

        bench.Dispose();
    }

    /// <summary>Whoever asks again as soon as the error came, while others still get it, does not get it, too.</summary>
    [TestMethod]
    public async Task WhoAsksAgainAfterAnErrorForAllIsAnswered()
    {
        using var linedUp = new ManualResetEventSlim();
        using Bench bench = new(_ => { }, batchSize: 8);
        bench.Go();
        Task<string> failed = Bench.Read(bench.Pieces(1, 9, () =>
        {
            linedUp.Wait(s_most);
            throw new ObjectDisposedException("model");
        }));
        IAsyncEnumerable<string>[] others = [.. Enumerable.Range(0, 5000).Select(_ => bench.Pieces(2, 9))];
        Task<string> again = AskAgain();

        linedUp.Set();

        Assert.HasCount(4 * s_letters, await again.WaitAsync(s_most));
        foreach (IAsyncEnumerable<string> other in (IAsyncEnumerable<string>[])[others[0], others[^1]])
        {
            await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => Bench.Read(other).WaitAsync(s_most));
        }

        async Task<string> AskAgain()
        {
            await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => failed);
            return await bench.Start(3, tokens: 4);
        }
    }

    [TestMethod]
    public async Task DisposeEndsEverythingAndTheThread()
    {
        using var stepped = new ManualResetEventSlim();
        Thread? decoding = null;
        bool background = false;
        Bench bench = new(_ =>
        {
            decoding = Thread.CurrentThread;
            background = decoding.IsBackground;
            stepped.Set();
        }, batchSize: 1);
        Task<string> decoded = bench.Start(1, 9000), waiting = bench.Start(2, 9);
        bench.Go();
        stepped.Wait(s_most);

        bench.Dispose();

        Assert.IsFalse(decoding!.IsAlive);
        Assert.IsTrue(background);
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => decoded.WaitAsync(s_most));
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => waiting.WaitAsync(s_most));
        Assert.ThrowsExactly<ObjectDisposedException>(() => { _ = bench.Start(3, 9); });
    }

    /// <summary>All steps are one thread's, whoever asks from wherever.</summary>
    [TestMethod]
    public async Task OneThreadDecodes()
    {
        var threads = new HashSet<int>();
        Bench bench = new(_ => threads.Add(Environment.CurrentManagedThreadId), batchSize: 4);
        bench.Go();

        await Task.WhenAll(Enumerable.Range(1, 20).Select(prompt => Task.Run(() => bench.Start(prompt, 5)))).WaitAsync(s_most);

        Assert.HasCount(1, threads);
        bench.Dispose();
    }

    /// <summary>Another adapter's request waits for those under way, and is not overtaken by one of theirs that came later.</summary>
    [TestMethod]
    public async Task AdaptersTakeTurnsInTheOrderOfTheRequests()
    {
        var used = new List<string?>();
        Bench bench = new(_ => { }, batchSize: 4, take: (adapter, act) =>
        {
            used.Add(adapter);
            act();
        });
        Task<string>[] texts =
        [
            bench.Start(1, 4, adapter: "a"), bench.Start(2, 8, adapter: "a"), bench.Start(3, 4, adapter: "b"),
            bench.Start(4, 4, adapter: "a"),
        ];

        bench.Go();
        await Task.WhenAll(texts).WaitAsync(s_most);

        Assert.AreEqual("1 2 3 4", string.Join(' ', bench.Model.Read));
        Assert.AreEqual("a b a", string.Join(' ', used.Where((adapter, at) => at == 0 || adapter != used[at - 1])));
        bench.Dispose();
    }

    /// <summary>No step is taken before <see cref="Go"/>: then everybody has come.</summary>
    private sealed class Bench : IDisposable
    {
        private readonly ManualResetEventSlim _go = new();
        private readonly ContinuousBatching _batching;
        private readonly TextGenerator _generator;

        public Bench(Action<int[]> step, int batchSize, int broken = -1, Action<string?, Action>? take = null)
        {
            Model = new SteppedModel(s_tokenizer.VocabularySize, Said, Step) { Broken = broken };
            SharedModel shared = ScriptedChat.Of(Model, s_tokenizer, PromptTemplate.Alpaca);
            shared = take is null ? shared : shared with { Take = take };
            _batching = new ContinuousBatching(shared, batchSize, keptTokens: 0, typeof(Bench));
            _generator = new TextGenerator(Model, shared.Prompts, shared.Generation);

            void Step(int[] rows)
            {
                _go.Wait(s_most);
                step(rows);
            }
        }

        public SteppedModel Model { get; }

        public void Go() => _go.Set();

        public IAsyncEnumerable<string> Pieces(
            int prompt, int tokens, string? adapter = null, CancellationToken cancellationToken = default) =>
            Pieces(prompt, tokens, () => adapter, cancellationToken);

        public IAsyncEnumerable<string> Pieces(
            int prompt, int tokens, Func<string?> adapter, CancellationToken cancellationToken = default)
        {
            GenerationRow row = _generator.With(new GenerationOptions { MaxNewTokens = tokens }).CreateRow([prompt]);
            return _batching.Start(row, adapter, cancellationToken).Pieces();
        }

        public Task<string> Start(int prompt, int tokens, CancellationToken cancellationToken) =>
            Read(Pieces(prompt, tokens, cancellationToken: cancellationToken));

        public Task<string> Start(int prompt, int tokens, string? adapter = null) => Read(Pieces(prompt, tokens, adapter));

        public void Dispose()
        {
            _batching.Dispose();
            _go.Dispose();
        }

        public static async Task<string> Read(IAsyncEnumerable<string> pieces)
        {
            string text = "";
            await foreach (string piece in pieces)
            {
                text += piece;
            }

            return text;
        }
    }
}
