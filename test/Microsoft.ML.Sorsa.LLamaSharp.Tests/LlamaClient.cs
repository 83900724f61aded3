using System.Text;
using LLama;
using LLama.Common;
using LLama.Native;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>A GGUF file as LLamaSharp runs it: keys and values in float32, so that nothing but the weights' type is rounded.</summary>
internal sealed class LlamaClient : IDisposable
{
    private readonly LLamaWeights _weights;
    private readonly LLamaContext _context;

    public LlamaClient(string path, uint contextSize = 512)
    {
        var parameters = new ModelParams(path)
        {
            ContextSize = contextSize,
            BatchSize = contextSize,
            UBatchSize = contextSize,
            GpuLayerCount = 0,

            // As libtorch here: test classes run side by side, and llama.cpp's threads wait for each other without sleeping.
            Threads = 1,
            BatchThreads = 1,
            TypeK = GGMLType.GGML_TYPE_F32,
            TypeV = GGMLType.GGML_TYPE_F32,
            FlashAttention = false,
        };
        _weights = LLamaWeights.LoadFromFile(parameters);
        _context = _weights.CreateContext(parameters);
    }

    /// <summary>Writes a file's weights as another type, with llama.cpp's own code.</summary>
    public static void Convert(string path, string to, LLamaFtype type)
    {
        // The quantiser alone does not find the native library; asking for anything else first does.
        NativeApi.llama_max_devices();
        Assert.IsTrue(LLamaQuantizer.Quantize(path, to, type, nthread: 1, allowRequantize: true));
    }

    public LLamaWeights Weights => _weights;

    public int[] Tokenize(string text, bool addSpecial, bool parseSpecial) =>
        [.. _weights.Tokenize(text, addSpecial, parseSpecial, Encoding.UTF8).Select(token => (int)token)];

    /// <summary>The logits behind every id.</summary>
    public float[][] Logits(IReadOnlyList<int> ids)
    {
        _context.NativeHandle.MemoryClear(true);
        var batch = new LLamaBatch();
        int[] places = [.. ids.Select((id, at) => batch.Add(id, at, LLamaSeqId.Zero, logits: true))];
        Assert.AreEqual(DecodeResult.Ok, _context.NativeHandle.Decode(batch));
        return [.. places.Select(place => _context.NativeHandle.GetLogitsIth(place).ToArray())];
    }

    /// <summary>The likeliest continuation, id by id.</summary>
    public int[] Continue(IReadOnlyList<int> prompt, int count)
    {
        var continued = new List<int>();
        float[] logits = Logits(prompt)[^1];
        for (int i = 0; i < count; i++)
        {
            int best = Array.IndexOf(logits, logits.Max());
            continued.Add(best);
            var batch = new LLamaBatch();
            int place = batch.Add(best, prompt.Count + i, LLamaSeqId.Zero, logits: true);
            Assert.AreEqual(DecodeResult.Ok, _context.NativeHandle.Decode(batch));
            logits = _context.NativeHandle.GetLogitsIth(place).ToArray();
        }

        return [.. continued];
    }

    /// <summary>The text of ids, with LLamaSharp's own decoder.</summary>
    public string Text(IEnumerable<int> ids)
    {
        var decoder = new StreamingTokenDecoder(Encoding.UTF8, _weights);
        foreach (int id in ids)
        {
            decoder.Add(id);
        }

        return decoder.Read();
    }

    /// <summary>Puts an adapter's file over the model.</summary>
    public void UseAdapter(string path)
    {
        LoraAdapter adapter = _weights.NativeHandle.LoadLoraFromFile(path);
        _context.NativeHandle.SetLoraAdapters([(adapter, 1f)]);
    }

    public void Dispose()
    {
        _context.Dispose();
        _weights.Dispose();
    }
}
