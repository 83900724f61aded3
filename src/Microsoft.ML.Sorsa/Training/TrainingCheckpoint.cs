using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// A <see cref="TrainingState"/> as a folder: training.json says which step of which run it is, training.safetensors holds the tensors,
/// each in its own type, and the checksums find damage. Where the method's adapters have a file of their own, the folder is an adapter,
/// too, and what trains stands in its files alone.
/// </summary>
internal static class TrainingCheckpoint
{
    private const string ConfigFile = "training.json", TensorsFile = "training.safetensors", AnalysisFileName = "analysis.json";
    private const string Format = "Microsoft.ML.Sorsa training";
    private const int Version = 1;
    private const string Losses = "losses", Evaluations = "evaluations", Dropout = "dropout";

    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>Writes the files, tensor by tensor from the device: there is no second copy in memory.</summary>
    /// <param name="target">The new folder.</param>
    /// <param name="state">Where training stands; not changed.</param>
    /// <param name="identity">What it belongs to.</param>
    /// <param name="adapter">What trains, as an adapter's files have it; null: it has none.</param>
    public static void Write(NewFolder target, TrainingState state, RunIdentity identity, AdapterWeights? adapter)
    {
        using var scope = NewDisposeScope();
        var checksums = new Checksums();
        List<KeyValuePair<string, Tensor>> tensors =
        [
            .. state.Tensors.Where(named => adapter is null || !IsTrained(named.Key)),
            KeyValuePair.Create(Losses, tensor(state.Losses.ToArray(), ScalarType.Float64)),
            KeyValuePair.Create(
                Evaluations, tensor(state.Evaluations.SelectMany(at => new[] { at.Step, at.Loss }).ToArray(), ScalarType.Float64)),
        ];
        if (state.Dropout is { } dropout)
        {
            tensors.Add(KeyValuePair.Create(Dropout, tensor(dropout.Pass)));
        }

        checksums.WriteFile(target, TensorsFile, stream => CheckpointWriter.Write(stream, tensors, type: null));
        if (adapter is not null)
        {
            AdapterFolder.WriteFiles(adapter, (name, write) => checksums.WriteFile(target, name, write));
        }

        if (state.Analysis.Count > 0)
        {
            checksums.WriteFile(target, AnalysisFileName, stream => AnalysisFile.WriteJson(stream, state.Analysis));
        }

        var config = new { format = Format, version = Version, step = state.Step, run = identity.Run, machine = identity.Machine };
        checksums.WriteFile(target, ConfigFile, stream => JsonSerializer.Serialize(stream, config, s_indented));
        checksums.WriteTo(target);
    }

    /// <summary>The bytes of the tensors of a checkpoint; the files have their headers beside them.</summary>
    /// <param name="state">Where training stands.</param>
    /// <param name="step">The step of the checkpoint: the losses of all steps are in it.</param>
    /// <param name="hasBest">Whether it has best weights.</param>
    /// <param name="adapter">What trains, as an adapter's files have it; null: it has none.</param>
    public static long Size(TrainingState state, int step, bool hasBest, AdapterWeights? adapter)
    {
        long best = hasBest && !state.Best.Copies.Any() ? Bytes(state.Trained.Select(named => (Tensor)named.Value)) : 0;
        return Bytes(state.Tensors.Where(named => adapter is null || !IsTrained(named.Key)).Select(named => named.Value)) + best
            + Bytes(adapter?.Tensors.Values.SelectMany(tensors => tensors.Values) ?? [])
            + (state.Dropout is null ? 0 : sizeof(long)) + ((long)sizeof(double) * step);

        static long Bytes(IEnumerable<Tensor> tensors) => tensors.Sum(tensor => tensor.numel() * tensor.element_size());
    }

    /// <summary>What a checkpoint belongs to, once every byte of it was compared with its checksum.</summary>
    /// <exception cref="InvalidDataException">The folder is damaged, or holds something else.</exception>
    public static RunIdentity ReadIdentity(string folder)
    {
        Checksums.Verify(folder);
        JsonReader config = ReadConfig(folder);
        return new RunIdentity(Entries("run"), Entries("machine"));

        Dictionary<string, string> Entries(string key) =>
            config[key].Members.ToDictionary(entry => entry.Key, entry => entry.Value.Text, StringComparer.Ordinal);
    }

    /// <summary>Puts a checkpoint of the same run into a state that was just made.</summary>
    /// <exception cref="InvalidDataException">A tensor is missing or of another shape or type.</exception>
    public static void Restore(string folder, TrainingState state)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Checkpoint stored = Checkpoint.OpenFile(Path.Combine(folder, TensorsFile));
        using Checkpoint? adapter = AdapterFolder.OpenTensors(folder);

        // Everything is found before anything is changed: where this one does not fit, an older one is put into the same state.
        int step = ReadConfig(folder).Positive("step");
        state.Optimizer.Prepare(step);
        (Tensor Target, Tensor Stored)[] tensors = [.. state.Tensors.Select(named => (named.Value, Find(named.Key, named.Value)))];
        double[] losses = Numbers(Losses), evaluations = Numbers(Evaluations);
        Tensor[] best = evaluations.Length == 0
            ? []
            : [.. state.Trained.Select(named => Find(TrainingState.BestPrefix + named.Key, named.Value))];
        long? passes = state.Dropout is { } dropout ? Find(Dropout, tensor(dropout.Pass)).item<long>() : null;
        string analysisFile = Path.Combine(folder, AnalysisFileName);
        IReadOnlyList<MatrixAnalysis> analysis = File.Exists(analysisFile) ? AnalysisFile.ReadJson(analysisFile) : [];
        if (losses.Length != step)
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture, $"it is of step {step} and holds {losses.Length} losses"));
        }

        foreach ((Tensor target, Tensor found) in tensors)
        {
            target.copy_(found);
        }

        state.Step = step;
        state.Losses.AddRange(losses);
        state.Analysis.AddRange(analysis);
        state.Evaluations.AddRange(evaluations.Chunk(2).Select(at => ((int)at[0], at[1])));
        if (best.Length > 0)
        {
            state.Best.Set(
                state.Evaluations,
                [.. best.Zip(state.Trained, (copy, named) => copy.to(named.Value.device, copy: true).DetachFromDisposeScope())]);
        }

        if (passes is { } before)
        {
            state.Dropout!.Pass = before;
        }

        double[] Numbers(string name) => stored.Tensors.TryGetValue(name, out Tensor? found) && found.dtype == ScalarType.Float64
            ? found.data<double>().ToArray()
            : throw Damaged($"'{name}' is missing");

        Tensor Find(string name, Tensor like)
        {
            Tensor? found = stored.Tensors.GetValueOrDefault(name);
            if (found is null && IsTrained(name))
            {
                found = adapter?.Tensors.GetValueOrDefault(name[TrainingState.TrainedPrefix.Length..]);
            }

            return found is null ? throw Damaged($"'{name}' is missing")
                : found.dtype != like.dtype || !found.shape.SequenceEqual(like.shape)
                    ? throw Damaged($"'{name}' is {found.dtype} [{string.Join(", ", found.shape)}], and this run has {like.dtype} "
                        + $"[{string.Join(", ", like.shape)}]")
                    : found;
        }

        InvalidDataException Damaged(string fault) =>
            new($"The checkpoint '{folder}' does not fit this run: {fault}. Remove it, or name another CheckpointFolder.");
    }

    private static bool IsTrained(string name) => name.StartsWith(TrainingState.TrainedPrefix, StringComparison.Ordinal);

    private static JsonReader ReadConfig(string folder)
    {
        string path = Path.Combine(folder, ConfigFile);
        JsonReader config = JsonReader.Read(path);
        string format = config.TextOf("format");
        int version = config.Positive("version");
        return format == Format && version == Version ? config : throw config.Bad(
            $"its format is '{format}', version {version}, and this library reads '{Format}', version {Version}");
    }
}
