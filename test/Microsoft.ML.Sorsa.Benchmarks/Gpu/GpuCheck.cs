using Microsoft.ML.Sorsa.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>
/// Everything that a machine with a GPU is asked in one call: <c>gpu [--device cuda] [--model FOLDER] [--budget SECONDS] [--small]
/// [--type bfloat16] [--rows BEGINNING,...]</c>. Parity with the stored answers, every method, NF4, dropout, interruption, and the table of
/// a large model. It needs what a publish holds, and no repository. The last line counts; one row that fails makes it end with an error.
/// </summary>
internal static class GpuCheck
{
    private const int DefaultBudget = 480;

    public static int Run(string[] args)
    {
        var arguments = new Arguments(
            args, [], Arguments.DeviceOption, Arguments.TypeOption, "model=", "budget=", "rows=", "small");
        Device device = TestDevice.Open(arguments.Text("device") ?? "cuda", "--device");
        ScalarType type = arguments.Has("type") ? arguments.Type : ScalarType.BFloat16;
        var rows = new GuardedRows(
            TimeSpan.FromSeconds(arguments.Number("budget", DefaultBudget)),
            arguments.Text("rows")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? []);
        string folder = Directory.CreateTempSubdirectory("sorsa-gpu-").FullName;
        try
        {
            Console.WriteLine($"{device}, {Environment.ProcessorCount} processors, {get_num_threads()} threads; TF32 off");
            GoldenChecks.Run(rows, device);
            var training = new TrainingChecks(folder, device);
            training.Run(rows);
            string? model = arguments.Text("model");
            if (model is null && arguments.Has("small"))
            {
                model = Path.Combine(folder, "model");
                RandomModel.Write(model, layers: 2, hidden: 64, intermediate: 160, heads: 4, vocabulary: 320, device);
            }

            if (model is null)
            {
                Console.WriteLine("SKIPPED table: name a large model with --model FOLDER; gpu-model FOLDER writes one");
            }
            else
            {
                using var table = new TrainingTable(
                    model, type, device, arguments.Has("small") ? TableSize.Small : TableSize.Full);
                table.Run(rows);
            }

            training.RunDropout(rows);
            return rows.Close();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
