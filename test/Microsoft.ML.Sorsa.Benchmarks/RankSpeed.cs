using System.Diagnostics;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Mpi;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What summing gradients over ranks takes, by itself and of a step: <c>mpirun -n 2 --bind-to none PROGRAM ranks [model folder] [rounds]
/// [--tokens 256]</c>. The steps are the smallest, a row for each rank, of LoRA r = 16; medians, as rank 0 sees them.
/// </summary>
internal static class RankSpeed
{
    private const int WarmUp = 2;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rounds"], "tokens=");
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 7), tokens = arguments.Number("tokens", 256);
        using SorsaMpi mpi = SorsaMpi.Initialize();
        Say(mpi, $"{mpi}, median of {rounds} rounds, wall time");
        foreach (int megabytes in new[] { 2, 20, 160 })
        {
            Say(mpi, $"sum of {megabytes} MB: {Sum(mpi, new float[megabytes * 250_000], rounds):F1} ms");
        }

        Steps(mpi, folder, rounds, tokens);
    }

    private static double Sum(ITrainingRanks ranks, float[] values, int rounds)
    {
        var timed = new TimedRanks(ranks);
        for (int round = 0; round < rounds + WarmUp; round++)
        {
            timed.Sum(values.AsSpan());
        }

        return Statistics.Median(timed.Sums.Skip(WarmUp));
    }

    private static void Steps(SorsaMpi mpi, string folder, int rounds, int tokens)
    {
        var timed = new TimedRanks(mpi);
        var clock = Stopwatch.StartNew();
        var steps = new List<(double Step, double Waiting, double Sum)>();
        string text = string.Concat(Enumerable.Repeat("1 + 2 = 3. ", tokens));
        Row[] rows = [.. Enumerable.Range(0, mpi.Count).Select(rank => new Row { Prompt = "Count.", Response = text })];
        var mlContext = new MLContext();
        var options = new SorsaFineTuningTrainer.Options
        {
            ModelFolder = folder,
            Method = FineTuningMethod.Lora,
            BatchSize = mpi.Count,
            NumberOfEpochs = rounds + WarmUp,
            MaxResponseLength = tokens,
            Ranks = timed,
            Progress = new Listener(() =>
            {
                steps.Add((clock.Elapsed.TotalMilliseconds, timed.Waiting.Sum(), timed.Sums.Sum()));
                timed.Clear();
                clock.Restart();
            }),
        };
        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(mlContext.Data.LoadFromEnumerable(rows));
        if (steps.Count > 0)
        {
            double step = Statistics.Median(steps.Skip(WarmUp).Select(at => at.Step));
            double waiting = Statistics.Median(steps.Skip(WarmUp).Select(at => at.Waiting));
            double sum = Statistics.Median(steps.Skip(WarmUp).Select(at => at.Sum));
            Say(mpi, $"LoRA r16 of {Path.GetFileName(folder)}, 1 x some {tokens} tokens a rank: step {step:F0} ms, of which ",
                $"the gradients' sum {sum:F1} ms ({sum / step:P1}), waiting for other ranks before it {waiting:F1} ms");
        }
    }

    private static void Say(SorsaMpi ranks, params FormattableString[] pieces)
    {
        if (ranks.Rank == 0)
        {
            Console.WriteLine(string.Concat(pieces.Select(FormattableString.Invariant)));
        }
    }

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }

    private sealed class Listener(Action listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen();
    }

    /// <summary>Times sums of float32 once every rank is there, and apart from them how long that took.</summary>
    private sealed class TimedRanks(ITrainingRanks ranks) : ITrainingRanks
    {
        public List<double> Waiting { get; } = [];

        public List<double> Sums { get; } = [];

        public int Rank => ranks.Rank;

        public int Count => ranks.Count;

        public void Clear()
        {
            Waiting.Clear();
            Sums.Clear();
        }

        public void Sum(Span<float> values)
        {
            var clock = Stopwatch.StartNew();
            ranks.Sum(new double[1].AsSpan());
            Waiting.Add(clock.Elapsed.TotalMilliseconds);
            clock.Restart();
            ranks.Sum(values);
            Sums.Add(clock.Elapsed.TotalMilliseconds);
        }

        public void Sum(Span<double> values) => ranks.Sum(values);

        public void Broadcast(Span<byte> values) => ranks.Broadcast(values);

        public IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> message) => ranks.Gather(message);

        public void Abort(string message) => ranks.Abort(message);
    }
}
