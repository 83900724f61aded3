using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Mpi;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>What a rank has to say at its end; in a file of its own, since mpirun mixes what processes print.</summary>
internal sealed record RankResult
{
    public required int Rank { get; init; }

    public required int LocalRank { get; init; }

    public required string Ranks { get; init; }

    public required int Threads { get; init; }

    public double[] Losses { get; init; } = [];

    public double[] ValidationLosses { get; init; } = [];

    /// <summary>Of the fine-tuned model.</summary>
    public int[] LogitBits { get; init; } = [];

    /// <summary>How often it was told of the progress.</summary>
    public int Reports { get; set; }

    public string? Error { get; init; }
}

/// <summary>The program that mpirun starts several times: it trains on <see cref="TinyTask"/>.</summary>
internal static class MpiProcess
{
    public const string Argument = "--mpi-training";

    public static bool Is(string[] arguments) => arguments is [Argument, ..];

    /// <summary>
    /// The process. Arguments: the folder of its result; options as Name=Value, with a rank in front where they are that one's alone
    /// (1:BatchSize=2); and what else happens, such as throws=3, an error at rank 0 behind step 3.
    /// </summary>
    public static int Run(string[] arguments)
    {
        string folder = arguments[1];
        using SorsaMpi mpi = SorsaMpi.Initialize(Library(arguments));
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.Ranks, options.BatchSize) = (mpi, 8);
        Dictionary<string, string> special = Read(arguments[2..], mpi.Rank, options);
        if (special.TryGetValue("fails", out string? failure))
        {
            string[] at = failure.Split('@');
            options.Ranks = new FailingRanks(
                mpi, int.Parse(at[1], CultureInfo.InvariantCulture), (Exception)Activator.CreateInstance(Type.GetType(at[0])!)!);
        }

        int reports = 0;
        options.Progress = new Listener(progress => reports++);
        if (special.TryGetValue("says", out string? says))
        {
            options.Progress = new Listener(progress => Console.WriteLine(FormattableString.Invariant($"{says} {progress.Step}")));
        }

        RankResult result;
        try
        {
            if (special.ContainsKey("sums"))
            {
                MpiSums.Verify(mpi);
                return Write(Said());
            }

            if (special.TryGetValue("throws", out string? why))
            {
                int at = int.Parse(why, CultureInfo.InvariantCulture);
                options.Progress = new Listener(progress =>
                {
                    if (progress.Step == at)
                    {
                        throw new InvalidOperationException("This one cannot go on.");
                    }
                });
            }

            if (special.ContainsKey("leaves"))
            {
                throw new InvalidOperationException("This one does not train.");
            }

            var mlContext = new MLContext();
            TinyTask.Row[] rows = special.ContainsKey("otherRows") ? TinyTask.Rows[1..] : TinyTask.Rows;
            IDataView data = mlContext.Data.LoadFromEnumerable(rows);
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            if (special.ContainsKey("again"))
            {
                Assert.Throws<InvalidOperationException>(() => trainer.Fit(data).Dispose());
            }

            using SorsaTransformer model = special.ContainsKey("validates")
                ? trainer.Fit(data, mlContext.Data.LoadFromEnumerable(TinyTask.Rows[..5])) : trainer.Fit(data);
            result = Said() with
            {
                Losses = [.. model.Training!.Losses],
                ValidationLosses = [.. model.Training.ValidationLosses.Select(at => at.Loss)],
                LogitBits = TinyTask.LogitBits((CausalLM)model.Model.Network!),
            };
        }
        catch (Exception error)
        {
            result = Said() with { Error = $"{error.GetType().Name}: {error.Message}" };
        }

        result.Reports = reports;
        return Write(result);

        int Write(RankResult ended)
        {
            File.WriteAllText(Path.Combine(folder, $"rank-{mpi.Rank}.json"), JsonSerializer.Serialize(ended));
            return ended.Error is null ? 0 : 3;
        }

        RankResult Said() => new()
        {
            Rank = mpi.Rank,
            LocalRank = mpi.LocalRank,
            Ranks = mpi.ToString(),
            Threads = torch.get_num_threads(),
        };
    }

    /// <summary>Sets the options that are named, and gives what else is.</summary>
    private static Dictionary<string, string> Read(string[] arguments, int rank, SorsaFineTuningTrainer.Options options)
    {
        var special = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string argument in arguments)
        {
            string[] parts = argument.Split(':');
            if (parts.Length == 2 && parts[0] != rank.ToString(CultureInfo.InvariantCulture))
            {
                continue;
            }

            string[] pair = parts[^1].Split('=');
            if (typeof(SorsaFineTuningTrainer.Options).GetProperty(pair[0]) is { } option)
            {
                Set(options, option, pair[1]);
            }
            else
            {
                special[pair[0]] = pair[1];
            }
        }

        return special;
    }

    /// <summary>Before the rank can be asked for: it is in the launcher's variables.</summary>
    private static string? Library(string[] arguments)
    {
        string? rank = Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_RANK") ?? Environment.GetEnvironmentVariable("PMI_RANK");
        return arguments.Select(argument => argument.Split("library="))
            .FirstOrDefault(parts => parts.Length == 2 && (parts[0].Length == 0 || parts[0] == $"{rank}:"))?[1];
    }

    private static void Set(object options, PropertyInfo option, string value)
    {
        Type type = Nullable.GetUnderlyingType(option.PropertyType) ?? option.PropertyType;
        option.SetValue(options, type.IsEnum ? Enum.Parse(type, value) : Convert.ChangeType(value, type, CultureInfo.InvariantCulture));
    }

    private sealed class Listener(Action<SorsaTrainingProgress> listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen(value);
    }

    /// <summary>Fails at the n-th sum, as a rank does whose memory is at its end.</summary>
    private sealed class FailingRanks(ITrainingRanks ranks, int at, Exception failure) : ITrainingRanks
    {
        private int _sums;

        public int Rank => ranks.Rank;

        public int Count => ranks.Count;

        public void Sum(Span<float> values)
        {
            _sums++;
            if (_sums == at)
            {
                throw failure;
            }

            ranks.Sum(values);
        }

        public void Sum(Span<double> values) => ranks.Sum(values);

        public void Broadcast(Span<byte> values) => ranks.Broadcast(values);

        public IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> message) => ranks.Gather(message);

        public void Abort(string message) => ranks.Abort(message);
    }
}
