using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// How fast a GGUF file is written, to the disk and renamed: <c>gguf [model folder] [rounds]</c>. MB of the file a second.
/// </summary>
internal static class GgufSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "rounds"]);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int rounds = arguments.Number("rounds", 5);
        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(folder, computeType: WeightType.Checkpoint);
        string file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.gguf");
        try
        {
            foreach (GgufType type in Enum.GetValues<GgufType>())
            {
                double seconds = Statistics.Median(Enumerable.Range(0, rounds + 1).Select(_ =>
                {
                    Stopwatch watch = Stopwatch.StartNew();
                    model.SaveGguf(file, type);
                    return watch.Elapsed.TotalSeconds;
                }).Skip(1).ToArray());
                double size = new FileInfo(file).Length / 1e6;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{Path.GetFileName(folder)}, {type}: {size:F0} MB in {seconds:F2} s, {size / seconds:F0} MB/s"));
            }
        }
        finally
        {
            File.Delete(file);
        }
    }
}
