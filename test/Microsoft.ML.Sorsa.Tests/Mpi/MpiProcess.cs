using System.Diagnostics;
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
    private const string Argument = "--mpi-training";

    public static bool Is(string[] arguments) => arguments is [Argument, ..];

    /// <summary>
    /// The process. Arguments: the folder of its result; options as Name=Value, with a rank in front where they are that one's alone
    /// (1:BatchSize=2); and what else happens, such as throws=3, an error at rank 0 behind step 3.
    /// </summary>
    public static int Run(string[] arguments)
    {
        string folder = arguments[1];
        string? library = arguments.FirstOrDefault(argument => argument.StartsWith("library=", StringComparison.Ordinal))?[8..];
        using SorsaMpi mpi = SorsaMpi.Initialize(library);
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.Ranks, options.BatchSize) = (mpi, 8);
        var special = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string argument in arguments[2..])
        {
            string[] parts = argument.Split(':');
            if (parts.Length == 2 && parts[0] != mpi.Rank.ToString(CultureInfo.InvariantCulture))
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

        int reports = 0;
        options.Progress = new Listener(progress => reports++);
        if (special.TryGetValue("says", out string? says))
        {
            options.Progress = new Listener(progress => Console.WriteLine(FormattableString.Invariant($"{says} {progress.Step}")));
        }

        RankResult result;
        try
        {
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
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            result = Said() with { Error = $"{error.GetType().Name}: {error.Message}" };
        }

        result.Reports = reports;
        File.WriteAllText(Path.Combine(folder, $"rank-{mpi.Rank}.json"), JsonSerializer.Serialize(result));
        return result.Error is null ? 0 : 3;

        RankResult Said() => new()
        {
            Rank = mpi.Rank,
            LocalRank = mpi.LocalRank,
            Ranks = mpi.ToString(),
            Threads = torch.get_num_threads(),
        };
    }

    /// <summary>Starts so many of them, on this machine.</summary>
    public static Process Start(int ranks, string folder, params string[] arguments) => Start("mpirun", ranks, folder, arguments);

    /// <param name="launcher">mpirun, or another name of one.</param>
    /// <param name="ranks">How many.</param>
    /// <param name="folder">For their results.</param>
    /// <param name="arguments">See <see cref="Run"/>.</param>
    public static Process Start(string launcher, int ranks, string folder, params string[] arguments)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(Program).Assembly.GetName().Name!);
        string[] openMpi = launcher == "mpirun.openmpi" || (launcher == "mpirun" && IsOpenMpi.Value)
            ? ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"] : [];
        var start = new ProcessStartInfo(
            launcher,
            [.. openMpi, "-n", ranks.ToString(CultureInfo.InvariantCulture), program, Argument, folder, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }

    /// <summary>Starts them and waits for their end.</summary>
    public static (int ExitCode, string Errors, RankResult[] Results) Train(int ranks, params string[] arguments)
    {
        using var folder = new TemporaryFolder();
        using Process process = Start(ranks, folder.Path, arguments);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors.Result, [.. Results(folder.Path)]);
    }

    /// <summary>By rank, of those that came to their end.</summary>
    public static IEnumerable<RankResult> Results(string folder) => Directory.GetFiles(folder, "rank-*.json")
        .Select(file => JsonSerializer.Deserialize<RankResult>(File.ReadAllText(file))!)
        .OrderBy(result => result.Rank);

    /// <summary>Skips the test where there is no mpirun.</summary>
    public static void RequireMpi()
    {
        if (!OperatingSystem.IsLinux() || !Path.Exists(Find("mpirun")))
        {
            Assert.Inconclusive("There is no mpirun (Debian: apt-get install openmpi-bin).");
        }
    }

    private static readonly Lazy<bool> IsOpenMpi = new(() =>
    {
        using Process version = Process.Start(new ProcessStartInfo("mpirun", ["--version"]) { RedirectStandardOutput = true })!;
        return version.StandardOutput.ReadToEnd().Contains("Open MPI", StringComparison.Ordinal);
    });

    /// <summary>The program of that name; null: none.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);

    private static void Set(object options, PropertyInfo option, string value)
    {
        Type type = Nullable.GetUnderlyingType(option.PropertyType) ?? option.PropertyType;
        option.SetValue(options, type.IsEnum ? Enum.Parse(type, value) : Convert.ChangeType(value, type, CultureInfo.InvariantCulture));
    }

    private sealed class Listener(Action<SorsaTrainingProgress> listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen(value);
    }
}
