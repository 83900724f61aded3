using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Kills trainings (SIGKILL) at random moments and runs them again: the weights must be those of a training that was left alone, to the
/// last bit: <c>resume [trainings]</c>. Methods and types take turns, but for what trains every weight, which float32 alone can; every
/// training has accumulation, validation, early stopping and, where the method has it, dropout. Ends with an error where one differs.
/// </summary>
internal static class KilledTrainings
{
    public const string TrainVerb = "resume-train";

    private const string HashFile = "hash.txt";

    /// <summary>A training writes some more checkpoints than this.</summary>
    private const int MostWritings = 12;

    /// <summary>About as long as it takes until the first step, and to write a checkpoint.</summary>
    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(2), s_writing = TimeSpan.FromMilliseconds(15);

    /// <summary>Where a training is killed.</summary>
    private enum Moment
    {
        /// <summary>At any time of it.</summary>
        Any,

        /// <summary>While the process, the model and the adapters come up.</summary>
        Start,

        /// <summary>While a checkpoint is being written.</summary>
        Writing,
    }

    public static int Run(string[] args)
    {
        int trainings = new Arguments(args, ["trainings"]).Number("trainings", 50);
        string folder = Directory.CreateTempSubdirectory("sorsa-resume-").FullName;
        try
        {
            string model = TrainingBits.GoldenModel(folder);
            string[] methods = [.. TrainingBits.Methods().Select(method => method.Name)],
                inSingle = [.. TrainingBits.Methods().Where(method => TrainsEveryWeight(method.Options)).Select(method => method.Name)];
            var alone = new Dictionary<Variant, (string Hash, TimeSpan Time)>();
            var random = new Random(0);
            int equal = 0, half = 0, all = 0;
            for (int i = 0; i < trainings; i++)
            {
                // Both types take turns, and each method has the other one in the next round.
                int round = i / methods.Length;
                string name = methods[i % methods.Length];
                var variant = new Variant(
                    name, (i + round) % 2 == 0 || inSingle.Contains(name) ? WeightType.Float32 : WeightType.BFloat16);
                if (!alone.TryGetValue(variant, out (string Hash, TimeSpan Time) expected))
                {
                    expected = alone[variant] = LeftAlone(model, Path.Combine(folder, $"alone-{alone.Count}"), variant);
                }

                Moment[] moments = [.. Enumerable.Range(0, 1 + (i % 3)).Select(kill => (Moment)((i + round + kill) % 3))];
                KilledTraining killed = Killed(
                    model, Path.Combine(folder, $"killed-{i}"), variant, moments, expected.Time, random);
                (equal, half, all) = (equal + (killed.Hash == expected.Hash ? 1 : 0), half + killed.Half, all + killed.Kills);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{i + 1}: {variant.Method}, {variant.Type}, killed {killed.Kills} times ({string.Join(", ", moments)}), gone on from "
                    + $"step {killed.ResumedFrom} at last: {(killed.Hash == expected.Hash ? "equal" : "DIFFERS")}"));
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{all} kills, {half} of them in a checkpoint that was half written"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{equal} of {trainings} equal"));
            return equal == trainings ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static bool TrainsEveryWeight(SorsaFineTuningTrainer.Options options) =>
        options.ToSettings() is var settings && settings.TrainsEveryWeight;

    /// <summary>What a process runs that may be killed. An empty name of the folder of checkpoints: it writes none.</summary>
    public static int Train(string[] args)
    {
        var arguments = new Arguments(args, ["model", "folder", "method", "type", "checkpoints"]);
        string folder = arguments.Text("folder")!, checkpoints = arguments.Text("checkpoints") ?? "";
        SorsaFineTuningTrainer.Options options =
            TrainingBits.Methods().Single(known => known.Name == arguments.Text("method")).Options;
        options.ModelFolder = arguments.Text("model")!;
        options.ComputeType = Enum.Parse<WeightType>(arguments.Text("type")!);
        options.PromptTemplate = PromptTemplate.Format("{prompt} = ");
        options.BatchSize = 4;
        options.GradientAccumulationSteps = 2;
        options.NumberOfEpochs = 20;
        options.EvaluationSteps = 5;
        options.EarlyStoppingPatience = 12;
        if (checkpoints.Length > 0)
        {
            options.CheckpointFolder = checkpoints;
            options.CheckpointSteps = 7;
        }

        var mlContext = new MLContext();
        string saved = Path.Combine(folder, "saved");
        TrainingBits.Row[] rows = [.. TrainingBits.GoldenRows()];
        using (SorsaTransformer trained = mlContext.Sorsa().FineTune(options).Fit(
            mlContext.Data.LoadFromEnumerable(rows[..32]), mlContext.Data.LoadFromEnumerable(rows[32..])))
        {
            trained.SaveHuggingFace(saved);
        }

        string hash = Path.Combine(folder, HashFile);
        byte[] weights = File.ReadAllBytes(Path.Combine(saved, "model.safetensors"));
        File.WriteAllText(hash + ".tmp", Convert.ToHexStringLower(SHA256.HashData(weights)));
        File.Move(hash + ".tmp", hash, overwrite: true);
        return 0;
    }

    private static (string Hash, TimeSpan Time) LeftAlone(string model, string folder, Variant variant)
    {
        Directory.CreateDirectory(folder);
        var clock = Stopwatch.StartNew();
        using Process process = Start(model, folder, variant, checkpoints: "");
        process.WaitForExit();
        return (File.ReadAllText(Path.Combine(folder, HashFile)), clock.Elapsed);
    }

    private static KilledTraining Killed(
        string model, string folder, Variant variant, Moment[] moments, TimeSpan time, Random random)
    {
        string checkpoints = Directory.CreateDirectory(Path.Combine(folder, "checkpoints")).FullName;
        int kills = 0, half = 0, step = 0;
        while (true)
        {
            string[] before = Directory.GetDirectories(checkpoints, "*.tmp");
            using Process process = Start(model, folder, variant, checkpoints);
            if (kills == moments.Length || !Kill(process, moments[kills], checkpoints, time, random))
            {
                process.WaitForExit();
                return process.ExitCode == 0
                    ? new KilledTraining(File.ReadAllText(Path.Combine(folder, HashFile)), kills, half, step)
                    : throw new InvalidOperationException($"The training ended with exit code {process.ExitCode}.");
            }

            process.WaitForExit();
            kills++;
            half += Directory.GetDirectories(checkpoints, "*.tmp").Except(before).Any() ? 1 : 0;
            step = Directory.GetDirectories(checkpoints, "checkpoint-*")
                .Select(path => Path.GetFileName(path)["checkpoint-".Length..])
                .Select(text => int.TryParse(text, CultureInfo.InvariantCulture, out int at) ? at : 0)
                .DefaultIfEmpty().Max();

            // A training that was saved before the kill is saved anew.
            Delete(Path.Combine(folder, "saved"));
        }
    }

    /// <returns>Whether it was; a training may end before.</returns>
    private static bool Kill(Process process, Moment moment, string checkpoints, TimeSpan time, Random random)
    {
        if (moment != Moment.Writing)
        {
            TimeSpan after = random.NextDouble() * (moment == Moment.Start ? s_start : time);
            if (process.WaitForExit(after))
            {
                return false;
            }

            process.Kill();
            return true;
        }

        int writings = random.Next(1, MostWritings);
        long further = (long)(random.NextDouble() * s_writing.TotalSeconds * Stopwatch.Frequency);
        bool isKilled = false;
        using var watcher = new FileSystemWatcher(checkpoints, "*.tmp") { NotifyFilter = NotifyFilters.DirectoryName };
        watcher.Created += (_, _) =>
        {
            if (Interlocked.Decrement(ref writings) == 0)
            {
                // A sleep would be longer than the writing.
                long from = Stopwatch.GetTimestamp();
                while (Stopwatch.GetTimestamp() - from < further)
                {
                    Thread.SpinWait(10);
                }

                Volatile.Write(ref isKilled, true);
                process.Kill();
            }
        };
        watcher.EnableRaisingEvents = true;
        process.WaitForExit();
        return Volatile.Read(ref isKilled) && process.ExitCode != 0;
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Process Start(string model, string folder, Variant variant, string checkpoints)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        string[] last = checkpoints.Length == 0 ? [] : [checkpoints];
        return Process.Start(new ProcessStartInfo(
            program, [.. host, TrainVerb, model, folder, variant.Method, variant.Type.ToString(), .. last]))!;
    }

    /// <summary>A training that is run.</summary>
    private sealed record Variant(string Method, WeightType Type);

    /// <summary>What came of one that was killed.</summary>
    /// <param name="Hash">Of its weights.</param>
    /// <param name="Kills">How often it was killed.</param>
    /// <param name="Half">How many of them left a checkpoint half written.</param>
    /// <param name="ResumedFrom">The step at which it went on at last.</param>
    private sealed record KilledTraining(string Hash, int Kills, int Half, int ResumedFrom);
}
