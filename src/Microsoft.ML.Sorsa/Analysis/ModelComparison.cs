using System.Globalization;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>Two checkpoints of one architecture, matrix by matrix: the files are mapped, and one pair is in memory at a time.</summary>
internal static class ModelComparison
{
    private const string Weight = ".weight";

    /// <param name="initial">A folder in the Hugging Face layout, or a safetensors file.</param>
    /// <param name="tuned">The same, made from it.</param>
    /// <param name="options">Checked.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="cancellationToken">Checked before every matrix.</param>
    /// <exception cref="InvalidDataException">A file is corrupt, or the two do not have the same matrices.</exception>
    public static IReadOnlyList<MatrixAnalysis> Of(
        string initial, string tuned, AnalysisOptions options, Device device, CancellationToken cancellationToken)
    {
        using Checkpoint before = Open(initial), after = Open(tuned);
        after.Rename(before.Names.ToHashSet(StringComparer.Ordinal));
        string[] names = [.. Chosen(before, options, initial).OrderBy(LayerOf)];
        VerifySame(before, initial, after, tuned, names);
        var rows = new List<MatrixAnalysis>();
        foreach (string name in names)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            try
            {
                rows.Add(MatrixComparison.Of(
                    before.Tensors[name].to(device), after.Tensors[name].to(device),
                    options.IntruderCandidates, options.IntruderThreshold).ToRow(0, PathOf(name), orthonormality: null));
            }
            catch (ArithmeticException fault)
            {
                throw new InvalidDataException(
                    $"'{name}' of '{initial}' (W_0) and '{tuned}' (W_t): {fault.Message} Fetch or write the file again.", fault);
            }
        }

        return rows;
    }

    private static Checkpoint Open(string path) => File.Exists(path) && Path.GetExtension(path) == ".safetensors"
        ? Checkpoint.OpenFile(path)
        : Checkpoint.OpenFolder(path);

    /// <summary>The matrices of the layers, or those of the modules that are named.</summary>
    private static string[] Chosen(Checkpoint checkpoint, AnalysisOptions options, string source)
    {
        string[] matrices =
        [
            .. checkpoint.Tensors.Where(named =>
                    named.Key.EndsWith(Weight, StringComparison.Ordinal) && named.Value.dim() == 2 && named.Value.numel() > 0)
                .Select(named => named.Key),
        ];
        if (options.TargetModules is not { } modules)
        {
            string[] layers = [.. matrices.Where(name => LayerOf(name) is not null)];
            return layers.Length > 0 ? layers : throw new InvalidDataException(
                $"'{source}' holds no matrix of a layer, a name such as model.layers.0.self_attn.q_proj.weight. Name a model's folder, or "
                + $"the matrices to look at: {nameof(options.TargetModules)}.");
        }

        string[] known = [.. matrices.Select(ModuleOf).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        string[] unknown = [.. modules.Except(known, StringComparer.Ordinal)];
        OptionRange.Fit(
            unknown.Length == 0, nameof(options.TargetModules), NameList.Quoted(unknown), $"'{source}' has no such matrix",
            $"Name one or more of {NameList.Quoted(known)}");
        return [.. matrices.Where(name => modules.Contains(ModuleOf(name), StringComparer.Ordinal))];
    }

    private static void VerifySame(
        Checkpoint before, string initial, Checkpoint after, string tuned, string[] names)
    {
        string[] faults =
        [
            .. from name in names
               let was = before.Tensors[name]
               let now = after.Tensors.GetValueOrDefault(name)
               let fault = now is null ? $"'{tuned}' has no {name}"
                   : !now.shape.SequenceEqual(was.shape) ? $"{name} is {Text(was.shape)} in the one and {Text(now.shape)} in the other"
                   : !before.IsWeight(name) ? Quantised(name, was, initial)
                   : !after.IsWeight(name) ? Quantised(name, now, tuned)
                   : null
               where fault is not null
               select fault,
        ];
        if (faults.Length > 0)
        {
            string line = Environment.NewLine + "  ";
            throw new InvalidDataException(
                $"'{initial}' and '{tuned}' are not two states of one model:{line}{NameList.Join(faults, line)}{Environment.NewLine}"
                + "Name a model, and one that was fine-tuned from it and merged.");
        }

        static string Quantised(string name, Tensor tensor, string source) =>
            $"{name} of '{source}' is {tensor.dtype}, and matrices in F64, F32, F16 or BF16 can be compared";
    }

    private static string Text(long[] shape) =>
        $"[{string.Join(", ", shape.Select(size => size.ToString(CultureInfo.InvariantCulture)))}]";

    private static string PathOf(string name) => name[..^Weight.Length];

    private static string ModuleOf(string name) => PathOf(name)[(PathOf(name).LastIndexOf('.') + 1)..];

    private static int? LayerOf(string name) => LayerNumber.In(PathOf(name));
}
