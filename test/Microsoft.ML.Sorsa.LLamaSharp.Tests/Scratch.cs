#pragma warning disable
namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;
[TestClass]
public sealed class Scratch
{
    [TestMethod]
    public void Export()
    {
        using OwnModel own = OwnModel.Load(TestData.SmolLM2);
        foreach (var (t, n) in 
new[] { (GgufType.F32, "f32"), (GgufType.BF16, "bf16"),
 (GgufType.Q8_0, "q8_0"), (GgufType.F16, "f16"), (GgufType.F32, "f32"), (GgufType.Q8_0, "q8_0") })
        {
            var w = System.Diagnostics.Stopwatch.StartNew();
            own.Transformer.SaveGguf($"/tmp/smollm2-{n}.gguf", t);
            long l = new FileInfo($"/tmp/smollm2-{n}.gguf").Length;
            Console.WriteLine($"speed {n} {l / 1e6:F0} MB {w.Elapsed.TotalSeconds:F2} s {l / 1e6 / w.Elapsed.TotalSeconds:F0} MB/s, " +
$"weights in f32 {538 / w.Elapsed.TotalSeconds:F0} MB/s");
        }
    }
}
