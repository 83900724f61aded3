using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Kills trainings (SIGKILL) at random moments and runs them again: the weights must be those of a training that was left alone, to the
/// last bit. Methods take turns; every training has accumulation, validation, early stopping and, where the method has it, dropout. Ends
/// with an error where one differs.
/// </summary>
internal static class KilledTrainings
{
    public const string TrainVerb = "resume-train";

    private const string HashFile = "hash.txt";

    public static int Run(string[] args)
    {
        int trainings = int.Parse(args.ElementAtOrDefault(0) ?? "50", CultureInfo.InvariantCulture);
        string folder = Directory.CreateTempSubdirectory("sorsa-resume-").FullName;
        try
        {
            string model = TrainingBits.GoldenModel(folder);
            string[] variants = [.. TrainingBits.Methods().Select(variant => variant.Name)];
            var alone = new Dictionary<string, (string Hash, TimeSpan Time)>(StringComparer.Ordinal);
            var random = new Random(0);
            int equal = 0;
            for (int i = 0; i < trainings; i++)
            {
                string variant = variants[i % variants.Length];
                if (!alone.TryGetValue(variant, out (string Hash, TimeSpan Time) expected))
                {
                    expected = alone[variant] = LeftAlone(model, Path.Combine(folder, $"alone-{alone.Count}"), variant);
                }

                TimeSpan[] moments = [.. Enumerable.Range(0, 1 + (i % 3)).Select(_ => random.NextDouble() * expected.Time)];
                (string hash, int kills, int resumed) = Killed(model, Path.Combine(folder, $"killed-{i}"), variant, moments);
                equal += hash == expected.Hash ? 1 : 0;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{i + 1}: {variant}, killed {kills} times, gone on from step {resumed} at last: "
                    + $"{(hash == expected.Hash ? "equal" : "DIFFERS")}"));
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{equal} of {trainings} equal"));
            return equal == trainings ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What a process runs that may be killed. An empty name of the folder of checkpoints: it writes none.</summary>
    public static int Train(string model, string folder, string variant, string checkpoints)
    {
        SorsaFineTuningTrainer.Options options = TrainingBits.Methods().Single(known => known.Name == variant).Options;
        options.ModelFolder = model;
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

    private static (string Hash, TimeSpan Time) LeftAlone(string model, string folder, string variant)
    {
        Directory.CreateDirectory(folder);
        var clock = Stopwatch.StartNew();
        using Process process = Start(model, folder, variant, checkpoints: "");
        process.WaitForExit();
        return (File.ReadAllText(Path.Combine(folder, HashFile)), clock.Elapsed);
    }

    private static (string Hash, int Kills, int ResumedFrom) Killed(
        string model, string folder, string variant, TimeSpan[] moments)
    {
        string checkpoints = Path.Combine(folder, "checkpoints");
        Directory.CreateDirectory(folder);
        int kills = 0, step = 0;
        while (true)
        {
            using Process process = Start(model, folder, variant, checkpoints);
            if (process.WaitForExit(kills < moments.Length ? moments[kills] : Timeout.InfiniteTimeSpan))
            {
                return process.ExitCode == 0
                    ? (File.ReadAllText(Path.Combine(folder, HashFile)), kills, step)
                    : throw new InvalidOperationException($"The training ended with exit code {process.ExitCode}.");
            }

            process.Kill();
            process.WaitForExit();
            kills++;
            step = !Directory.Exists(checkpoints) ? 0 : Directory.GetDirectories(checkpoints, "checkpoint-*")
                .Select(path => Path.GetFileName(path)["checkpoint-".Length..])
                .Select(text => int.TryParse(text, CultureInfo.InvariantCulture, out int at) ? at : 0)
                .DefaultIfEmpty().Max();

            // A training that was saved before the kill is saved anew.
            Delete(Path.Combine(folder, "saved"));
        }
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Process Start(string model, string folder, string variant, string checkpoints)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        return Process.Start(new ProcessStartInfo(program, [.. host, TrainVerb, model, folder, variant, checkpoints]))!;
    }
}
