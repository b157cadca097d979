"""The page in Traditional Chinese as it is written in Taiwan: what each English text becomes.

A key is the English text as it stands in the code, with its {places} unfilled.
"""

from unit.demo import texts
from unit.demo.service import SIDE

TABLE = {
    # domains
    "summer": "夏天",
    "winter": "冬天",
    "cat": "貓",
    "dog": "狗",
    "day": "白天",
    "night": "夜晚",
    # texts
    texts.TITLE: """
# 瀏覽器裡的 UNIT
選一個範例，或加入自己的照片，就會以另一種樣貌重畫，例如夏天畫成冬天。模型從來沒看過同一個東西的成對照片，
畫出來的都是虛構的。
""",
    texts.SURVIVES: """
## 留下了什麼
照片以原本的樣貌重畫一次，以及翻譯過去再翻譯回來。熱圖標出與照片不同的地方：越暗越接近。
""",
    texts.SAMPLE: f"""
## 在潛在空間取樣
同一張照片，帶一點隨機，重畫好幾次。編碼器給出的是一個高斯分布，每個種子取其中一點。一張照片在 UNIT 裡幾乎只有一種
答案，所以雜訊改變的是色調與質感；溫度越高，變化越明顯。
點選一張樣本，就以它為結果。樣本的長寬最多 {SIDE} 像素。
""",
    texts.WALK: """
## 潛在空間漫步
在您的照片周圍的雜訊裡繞一圈，做成頭尾相接的短片；溫度、顆粒與種子用上面的設定。
""",
    texts.BETWEEN: """
## 兩張照片之間
兩張照片都先編碼，再畫出兩個潛在點連線上的樣子。滑桿從第一張照片（0）移到第二張（1）；第二張會裁成第一張的形狀。
兩張都應該是翻譯來源那一類的照片。
""",
    texts.DREAM: """
## 夢
沒有照片：把同一個純雜訊的潛在點用兩種樣貌各畫一次，所以同一個號碼是同一個夢。互相對應的是顏色、光線與質感。
**請別期待看到風景**：模型學的是從照片的潛在點作畫，純雜訊很少靠近那裡。溫度 1、顆粒 1 是論文的先驗分布；
調高一些會比較接近照片所在的地方。
""",
    texts.INSIDE: """
## 裡面是什麼
兩個編碼器、兩個解碼器、一個潛在空間。任一領域的照片都編碼成一個高斯分布，中心是一張小的潛在圖（多小要看模型，見下面）；
空間裡的任何一點都能以任一領域畫出來。用另一個解碼器來畫，就是翻譯。從來沒有人給模型看過同一個東西的成對照片。
""",
    texts.LIMITS: """
**限制。** 一張照片只有一種翻譯：UNIT 是單模態的。它只認得訓練照片裡有的東西。它畫出來的是想像，不能當作任何事物
真實樣貌的證據。

**論文**：Liu, Breuel, Kautz, *Unsupervised Image-to-Image Translation Networks*, NIPS 2017,
[arXiv:1703.00848](https://arxiv.org/abs/1703.00848)。能替一張照片給出多種翻譯的**後繼者**是
[MUNIT](https://arxiv.org/abs/1804.04732)。這裡是論文的全新實作。
""",
    # the left-hand side
    "Your photo": "您的照片",
    "Your photo, {way}": "您的照片，{way}",
    "Drop a photo here, or click to choose one": "把照片拖到這裡，或點一下選擇照片",
    "Tap the middle of the face": "點一下臉的中央",
    "No face was found: tap the middle of it": "沒有找到臉：請點一下臉的中央",
    "Your photo, with a square around the face": "您的照片，臉的周圍有方框",
    "Size of the face": "臉的大小",
    "From the left": "離左邊",
    "From the top": "離上緣",
    "Put the result back into the photo": "把結果貼回照片",
    "Model": "模型",
    "Direction": "方向",
    "⇄ Flip": "⇄ 對調",
    "Translate": "翻譯",
    "Examples: take one of the kind you translate from": "範例：請選翻譯來源那一類的",
    "Examples": "範例",
    "Aitzgorri": "艾茨戈里山",
    "Forest stream": "林間溪流",
    "Picos de Europa": "歐羅巴山",
    "Summer Palace": "頤和園",
    "Chelsea": "貓咪 Chelsea",
    "Palace by day": "白天的頤和園",
    "Drawn night": "畫出來的夜晚",
    "Could not load {missing} from the Hugging Face Hub.": "無法從 Hugging Face Hub 載入 {missing}。",
    "Could not load {missing} from the Hugging Face Hub. These models came with the app.": (
        "無法從 Hugging Face Hub 載入 {missing}。這些是隨附的模型。"
    ),
    # the slider over two pictures, and the strip of results
    "Before and after: how much of each is seen": "轉換前與轉換後：各看到多少",
    "{before} % before, {after} % after": "轉換前 {before}%，轉換後 {after}%",
    "Before": "轉換前",
    "After": "轉換後",
    "Full screen": "全螢幕",
    "The result is on its way …": "結果馬上就好……",
    "The result will appear here.": "結果會顯示在這裡。",
    "This result is no longer here.": "這個結果已經不在了。",
    "Results of this visit": "這次的結果",
    # results
    "Before and after": "之前與之後",
    "Download the result": "下載結果",
    "Full resolution": "完整解析度",
    "Use result as input": "把結果當輸入",
    "Download in full resolution": "下載完整解析度",
    "Cancel": "取消",
    "Reading the photo …": "正在讀取照片……",
    "Drawn: {done} of {tiles} tiles": "已畫 {done} 塊，共 {tiles} 塊",
    "Done: {size} pixels": "完成：{size} 像素",
    "Stopped.": "已停止。",
    "Photo": "照片",
    "Drawn again": "重畫",
    "There and back": "來回",
    "Difference": "差異",
    "Difference: {share:.1%}": "差異：{share:.1%}",
    "Your photo drawn again in its own domain": "您的照片在原領域重畫",
    "Your photo translated there and back": "您的照片翻譯過去再翻譯回來",
    "Where it differs from your photo": "與您的照片不同的地方",
    # samples
    "Sample": "取樣",
    "Samples": "樣本",
    "Noise temperature": "雜訊溫度",
    "Temperature": "溫度",
    "0: no noise. 1: as in training.": "0：沒有雜訊。1：與訓練時相同。",
    "How many": "張數",
    "One for each seed.": "每個種子一張。",
    "Grain": "顆粒",
    "Side, in latent pixels, of one noise value.": "一個雜訊值的邊長（潛在像素）。",
    "Seed": "種子",
    "New seed": "換種子",
    "seed {seed}, temperature {temperature:g}": "種子 {seed}，溫度 {temperature:g}",
    "Walk": "漫步",
    "Download the walk": "下載漫步",
    "Latent walk": "潛在空間漫步",
    "A walk around your photo": "在您的照片周圍漫步",
    # between
    "Between": "之間",
    "Second photo": "第二張照片",
    "Between two photos": "兩張照片之間",
    "Position": "位置",
    "0: the first photo. 1: the second.": "0：第一張照片。1：第二張。",
    "Drawn in": "畫成",
    "Make a film of it": "做成短片",
    "Download the film": "下載短片",
    "Film": "短片",
    "From one photo to the other and back": "從一張照片到另一張再回來",
    # dreams
    "Dream": "夢",
    "Dreams": "夢",
    "Pairs": "組數",
    # inside
    "Inside": "裡面",
    "Where the weights come from: the model card": "權重從哪裡來：模型卡（英文）",
    "About the example photos": "關於範例照片",
    "Make a link to these settings": "產生這些設定的連結",
    "Link": "連結",
    "It brings model, direction and noise, and an example photo, never yours.": (
        "連結會帶上模型、方向與雜訊，以及範例照片；您自己的照片不會。"
    ),
    "- **Draws** {a} as {b} and {b} as {a}, and each as itself.": (
        "- **會畫的**：{a}畫成{b}，{b}畫成{a}，以及各自重畫。"
    ),
    "- **Network**: {number:.1f} million parameters for both domains, layout `{layout}`; the last {blocks} of both "
    "encoders and the first of both decoders are shared.": (
        "- **網路**：兩個領域共 {number:.1f} 百萬個參數，配置 `{layout}`；"
        "兩個編碼器的最後 {blocks}與兩個解碼器最前面的是共用的。"
    ),
    "residual block": "1 個殘差區塊",
    "{n} residual blocks": "{n} 個殘差區塊",
    "- **Latent**: {n} numbers for every {d} x {d} pixels.": "- **潛在空間**：每 {d} x {d} 像素 {n} 個數值。",
    "- **Trained on** crops of {n} pixels.": "- **訓練時**看的是 {n} 像素的裁切。",
    "There are no measures of these weights here.": "這裡沒有這些權重的評量。",
    "Judged by {judge} on held-out photos of `{data}`, {n} px.": (
        "由 {judge} 評量，用的是 `{data}` 裡沒有訓練過的照片，{n} 像素。"
    ),
    "| | | drawn | the photo as it is | real photos |": "| | | 畫出來的 | 原來的照片 | 真的照片 |",
    "success (linear probe)": "成功率（線性探測）",
    "success (ImageNet classes)": "成功率（ImageNet 類別）",
    "colours outside of 99 % of real ones": "顏色超出 99 % 真實照片的比例",
    "weave in smooth regions": "平滑區域的織紋",
    "distance to the input": "與輸入的距離",
    "distance to the input after the cycle": "來回之後與輸入的距離",
    "reconstruction distance": "重畫的距離",
    "reconstruction error (L1)": "重畫的誤差（L1）",
    **{
        f"diversity at temperature {temperature}, grain {grain}": f"溫度 {temperature}、顆粒 {grain} 的多樣性"
        for temperature in ("0.5", "1", "2")
        for grain in (1, 8)
    },
    "not a number": "不是數字",
    # what can be put right
    " or ": "或",
    "Please add a photo first.": "請先加入一張照片。",
    "Please add a second photo.": "請加入第二張照片。",
    "This is not an uploaded picture: upload the file first.": "這不是上傳的圖片：請先上傳檔案。",
    "This photo is no longer here: please add it again.": "這張照片已經不在了：請再加入一次。",
    "There is not enough memory for this picture: please try a smaller one.": "記憶體不足：請換小一點的圖片。",
    "The server has no room for the result: please try again in some minutes.": "伺服器沒有空間了：請稍後再試。",
    "There is no model {name} here: choose {names}.": "這裡沒有模型 {name}：請選擇 {names}。",
    "The direction is {direction}: choose {directions}.": "方向是 {direction}：請選擇 {directions}。",
    "The direction {direction} belongs to the model {name}: choose that model too.": (
        "方向 {direction} 屬於模型 {name}：請也選擇那個模型。"
    ),
    "{domain} is not a domain of this model: choose {domains}.": "{domain} 不是這個模型的領域：請選擇 {domains}。",
    "{name} must be a number from {low} to {high}, and it is {value}.": (
        "{name}必須是 {low} 到 {high} 的數字，現在是 {value}。"
    ),
    "Number of samples": "樣本數",
    "Number of pairs": "組數",
    "{name} is a folder, not a picture.": "{name} 是資料夾，不是圖片。",
    "{name} is empty.": "{name} 是空的。",
    "{name} is no picture: give a path, a PIL image, an array or a file.": (
        "{name} 不是圖片：請給路徑、PIL 圖片、陣列或檔案。"
    ),
    "An array of {dtype} with shape {shape} is no picture: give uint8 with shape (H, W), (H, W, 3) or (H, W, 4).": (
        "形狀 {shape} 的 {dtype} 陣列不是圖片：請給形狀 (H, W)、(H, W, 3) 或 (H, W, 4) 的 uint8。"
    ),
    "{name} is not a picture this program can read: try a JPEG or PNG file.": (
        "{name} 不是這個程式讀得懂的圖片：請試試 JPEG 或 PNG 檔。"
    ),
    "There is no file {name}.": "沒有檔案 {name}。",
    "{name} may not be read: check its permissions.": "{name} 無法讀取：請檢查權限。",
    "{name} has no pixels.": "{name} 沒有像素。",
    "{name} is damaged or cut short: try another copy of it.": "{name} 損壞或不完整：請換一份。",
    "{name} is too large: at most {millions} million pixels are taken, so make it smaller.": (
        "{name} 太大了：最多 {millions} 百萬像素，請先縮小。"
    ),
    "{name} has the colour mode {mode}, which cannot be read as RGB.": (
        "{name} 的色彩模式是 {mode}，無法讀成 RGB。"
    ),
}  # fmt: skip
